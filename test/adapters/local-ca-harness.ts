import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import localCa from '../../adapters/local-ca/local-ca.ts';
import type { AdapterHarness, NotSupported } from '../../conformance/harness.ts';
import { readCertificates } from '../../src/x509/pem.ts';
import { connectContext } from '../support/connect-context.ts';
import { memoryDirectory } from '../support/temporary-directory.ts';

const decidesNothing: NotSupported = {
  notSupported:
    'A local CA signs at once what passes its checks: nothing waits and nobody decides.',
};
const hasNoOtherSide: NotSupported = {
  notSupported: 'A local CA has no other side that could hang or give a strange answer.',
};

/** @param given options of the kind; `env` has the secrets they name. */
export async function localCaHarness(
  given: object = {},
  env: Record<string, string> = {},
): Promise<AdapterHarness> {
  const directory = await memoryDirectory();
  const context = connectContext(directory.path, { env });
  const options = localCa.options.parse({ directory: './ca', ...given });
  return {
    connect: () => localCa.connect(options, context, new AbortController().signal),
    hooks: {
      pendThenIssue: decidesNothing,
      pendThenReject: decidesNothing,
      reject: decidesNothing,
      failOnce: async () => {
        // Held by someone else until the event loop comes round: the order in between waits in vain.
        const other = new DatabaseSync(join(directory.path, 'ca/ledger.db'));
        other.exec('BEGIN IMMEDIATE');
        setTimeout(() => other.close(), 100);
      },
      answerGarbage: hasNoOtherSide,
      hang: hasNoOtherSide,
      answerSlowly: hasNoOtherSide,
    },
    secrets: Object.values(env),
    roots: async () => readCertificates(await readFile(join(directory.path, 'ca/root.pem'))),
    validityAsAsked: true,
    leftovers: async () => [],
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}
