import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import cmp from '../../adapters/cmp/cmp.ts';
import type { AdapterHarness } from '../../conformance/harness.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { connectContext } from '../support/connect-context.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { type CmpServer, type CmpWord, startCmpServer } from './doubles/cmp-server.ts';
import { DoubleCa } from './doubles/est-cmp-ca.ts';
import type { HttpHarness } from './http-harness.ts';

const never = new AbortController().signal;
const secret = 'correct horse battery staple';

export interface CmpHarness extends HttpHarness {
  readonly server: CmpServer;
  readonly ca: DoubleCa;
  connectWith(options: Record<string, unknown>): ReturnType<AdapterHarness['connect']>;
}

export const withSecret = { reference: 'ra-7', secret: { env: 'CMP_SECRET' } };
export const withSignature = {
  signerCertFile: 'client.pem',
  signerKeyFile: 'client.key',
  responderRoots: 'root.pem',
};

/** `protection` are the options of the connection that the contract is run over. */
export async function cmpHarness(
  protection: Record<string, unknown>,
  responderUsages: readonly string[] = ['1.3.6.1.5.5.7.3.27'],
): Promise<CmpHarness> {
  const directory = await temporaryDirectory();
  const ca = new DoubleCa();
  const client = ca.credentials('ec', 'ra.example.org', ['1.3.6.1.5.5.7.3.28']);
  const signer = ca.credentials('rsa', 'cmp.example.org', responderUsages);
  const server = await startCmpServer({
    ca,
    reference: 'ra-7',
    secret,
    signer,
    client: client.certificate,
  });
  const write = (name: string, text: string) =>
    writeFile(join(directory.path, name), text, { mode: 0o600 });
  await write('root.pem', encodePem('CERTIFICATE', ca.root));
  await write('other-root.pem', encodePem('CERTIFICATE', new DoubleCa().root));
  await write('client.pem', client.certificatePem);
  await write('client.key', client.keyPem);
  const context = connectContext(directory.path, {
    env: { CMP_SECRET: secret, CMP_OTHER: 'another secret' },
  });
  const connectWith = (options: Record<string, unknown>) =>
    cmp.connect(cmp.options.parse({ url: server.url, ...options }), context, never);
  const script = async (...words: CmpWord[]) => void server.script.push(...words);
  let reached = false;
  return {
    server,
    ca,
    connectWith,
    connect: () => connectWith({ check: 'genm', ...protection }),
    hooks: {
      pendThenIssue: () => script('pend'),
      pendThenReject: () => script('pend-then-reject'),
      reject: () => script({ failures: [19], as: 'cp', text: `no, ${secret}` }),
      failOnce: () => script({ failures: [24], as: 'error' }),
      answerGarbage: () => script('garbage'),
      answerSlowly: { notSupported: 'The double answers at once or not at all.' },
      async hang() {
        await script('hang');
        return {
          async reached() {
            await server.hanging();
            reached = true;
          },
        };
      },
    },
    answerOrder: ({ status, headers, body }) =>
      void server.script.push({ http: status, headers, body }),
    // With signatures nobody on our side knows it.
    secrets: 'secret' in protection ? [secret] : [],
    roots: async () => [ca.root],
    validityAsAsked: { notSupported: 'A p10cr has no field for a validity: the CA decides.' },
    leftovers: async () =>
      reached && server.openSockets() > 0 ? [`${server.openSockets()} connections`] : [],
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}
