import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { problemKindInfo } from '@arethetypeswrong/core/problems';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';

/** The package is a module for Node 24: these ways of looking for it are not promised. */
const notPromised = new Set(['node10', 'node16-cjs']);

/** What publint and attw have against a tarball. */
export async function publishedProblems(tarball: Uint8Array): Promise<string[]> {
  const bytes = Uint8Array.from(tarball);
  const { messages, pkg } = await publint({ pack: { tarball: bytes.buffer }, strict: true });
  const fromPublint = messages
    // The example is a package of its own once it is copied away.
    .filter(
      ({ code, args }) =>
        code !== 'NESTED_PACKAGE_JSON_FIELD_IGNORED' || !args.filePath.startsWith('./examples/'),
    )
    .map((message) => `publint: ${formatMessage(message, pkg, { color: false })}`);

  const analysis = await checkPackage(createPackageFromTarballData(bytes));
  if (analysis.types === false) return [...fromPublint, 'attw: the package has no types'];
  const fromAttw = analysis.problems
    .filter((problem) => !('resolutionKind' in problem && notPromised.has(problem.resolutionKind)))
    .map(({ kind, ...where }) => {
      return `attw: ${problemKindInfo[kind].title} ${JSON.stringify(where)}`;
    });
  return [...fromPublint, ...fromAttw];
}
