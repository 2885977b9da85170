import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { problemKindInfo } from '@arethetypeswrong/core/problems';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import type { Finding } from './finding.ts';

/** The package is a module for Node 24: these ways of looking for it are not promised. */
const notPromised = new Set(['node10', 'node16-cjs']);

/** What publint and attw have against a tarball. */
export async function publishedFindings(tarball: Uint8Array): Promise<Finding[]> {
  const bytes = Uint8Array.from(tarball);
  const { messages, pkg } = await publint({ pack: { tarball: bytes.buffer }, strict: true });
  const fromPublint = messages
    // The example is a package of its own once it is copied away.
    .filter(
      ({ code, args }) =>
        code !== 'NESTED_PACKAGE_JSON_FIELD_IGNORED' || !args.filePath.startsWith('./examples/'),
    )
    .map((message) => ({
      what: `publint: ${formatMessage(message, pkg, { color: false })}`,
      mend: `https://publint.dev/rules#${message.code.toLowerCase()} says how`,
    }));

  const analysis = await checkPackage(createPackageFromTarballData(bytes));
  if (analysis.types === false) {
    const mend = 'look at "types" under "exports" in package.json, and at what npm run build makes';
    return [...fromPublint, { what: 'attw: the package has no types', mend }];
  }
  const fromAttw = analysis.problems
    .filter((problem) => !('resolutionKind' in problem && notPromised.has(problem.resolutionKind)))
    .map(({ kind, ...where }) => {
      const { title, docsUrl } = problemKindInfo[kind];
      return { what: `attw: ${title} ${JSON.stringify(where)}`, mend: `${docsUrl} says how` };
    });
  return [...fromPublint, ...fromAttw];
}
