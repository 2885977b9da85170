import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import { type ConnectContext, defineAdapter } from '../../src/plug-in/certificate-authority.ts';
import { directoryProblem, LocalCa } from './authority.ts';
import { copyCa } from './copy.ts';
import { openHierarchy } from './hierarchy.ts';
import { KeyFiles } from './key-files.ts';
import type { KeyStore } from './key-store.ts';
import { Ledger } from './ledger.ts';
import { connectToken, tokenOptions } from './pkcs11/connect-token.ts';

/*
 * A CA of two levels in a directory: for trying out, for tests, and for small networks that trust one
 * machine. Every certificate is written to the ledger under its requestId before it is given out, so a
 * repeated order, also after a crash or from another process, gets the same one.
 */

const options = z.strictObject({
  directory: z
    .string()
    .min(1)
    .default('./data/local-ca')
    .describe(
      'Where the CA lives: root.pem, issuing.pem, their keys, ledger.db and crl.pem. Made at the first start.',
    ),
  keyType: z
    .enum(['ec', 'rsa'])
    .default('ec')
    .describe('The keys of the root and the issuing CA: `ec` is P-256, `rsa` has 3072 bits.'),
  name: z
    .string()
    .trim()
    .min(1)
    .max(56)
    .default('certprov local CA')
    .describe('Begins the common names of the root (“… Root”) and the issuing CA (“… Issuing”).'),
  keys: tokenOptions
    .optional()
    .describe(
      'Keeps both private keys in a PKCS#11 token instead of files in the directory. See docs/authorities/local-ca.md.',
    ),
});

type Options = z.output<typeof options>;

export default defineAdapter({
  kind: 'local-ca',
  // It signs in this process, and orders of the same moment share one write to its ledger.
  concurrency: 64,
  takesTemplate: false,
  options,
  rootFiles: ({ directory }) => [join(directory, 'root.pem')],
  async backup({ directory }, resolvePath, into) {
    const path = resolvePath(directory);
    await copyCa(path, into);
    return path;
  },
  async connect({ directory, keyType, name, keys }, context, signal) {
    signal.throwIfAborted();
    const path = context.resolvePath(directory);
    await makeDirectory(path);
    await using opened = new AsyncDisposableStack();
    const store = opened.use(await keyStore(path, { directory, keyType, name, keys }, context));
    const ledger = opened.use(new Ledger(join(path, 'ledger.db')));
    const { clock, memory } = context;
    const fact = `the root of the local CA in ${path}`;
    const knownRoot = await memory?.recall(fact);
    const open = () =>
      openHierarchy(path, { keyType, name }, { keys: store, ledger, now: clock.now(), knownRoot });
    const ca = opened.use(new LocalCa({ directory: path, open, ledger, clock, keys: store }));
    try {
      ca.begin();
      if (knownRoot === undefined) await memory?.remember(fact, ca.rootFingerprint);
    } catch (error) {
      // A token may come, or be mended, later: until then check() says what is wrong.
      if (!store.mayBeAway || !(error instanceof ProvisioningError)) throw error;
    }
    opened.move();
    return ca;
  },
});

async function keyStore(
  directory: string,
  { keyType, name, keys }: Options,
  context: ConnectContext,
): Promise<KeyStore> {
  if (keys === undefined) return new KeyFiles(directory, keyType);
  return connectToken(keys, { directory, keyType, name }, context);
}

async function makeDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw directoryProblem(directory, error);
  }
}
