import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import est from '../../adapters/est/est.ts';
import type { AdapterHarness } from '../../conformance/harness.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { connectContext } from '../support/connect-context.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { type EstServer, type EstWord, startEstServer } from './doubles/est-server.ts';
import type { HttpHarness } from './http-harness.ts';

const never = new AbortController().signal;

export interface EstHarness extends HttpHarness {
  readonly server: EstServer;
  /** What the adapter told operators. */
  readonly warnings: string[];
  /** Connects with other options; the server's root is in root.pem, the client's in client.pem and client.key. */
  connectWith(options: Record<string, unknown>): ReturnType<AdapterHarness['connect']>;
}

export async function estHarness(): Promise<EstHarness> {
  const password = 'correct horse: battery staple';
  const directory = await temporaryDirectory();
  const server = await startEstServer({ label: 'wifi', username: 'ra', password });
  const { ca } = server;
  const client = ca.credentials('rsa', 'ra.example.org', [
    '1.3.6.1.5.5.7.3.2',
    '1.3.6.1.5.5.7.3.28',
  ]);
  await writeFile(join(directory.path, 'root.pem'), encodePem('CERTIFICATE', ca.root));
  await writeFile(join(directory.path, 'client.pem'), client.certificatePem);
  await writeFile(join(directory.path, 'client.key'), client.keyPem, { mode: 0o600 });
  const warnings: string[] = [];
  const context = {
    ...connectContext(directory.path, { env: { EST_PASSWORD: password } }),
    warn: (message: string) => void warnings.push(message),
  };
  const connectWith = (options: Record<string, unknown>) =>
    est.connect(
      est.options.parse({
        url: server.url,
        label: 'wifi',
        tls: { caFile: 'root.pem' },
        ...options,
      }),
      context,
      never,
    );
  const script = async (...words: EstWord[]) => void server.script.push(...words);
  let reached = false;
  return {
    server,
    warnings,
    connectWith,
    connect: () => connectWith({ username: 'ra', password: { env: 'EST_PASSWORD' } }),
    hooks: {
      pendThenIssue: () => script('pend', 'pend', 'serve'),
      pendThenReject: () => script('pend', { status: 400, text: 'the officer said no' }),
      reject: () => script({ status: 400, text: `no, ${password}` }),
      failOnce: () => script({ status: 503, headers: { 'retry-after': '5' } }),
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
      void server.script.push({ status, headers, text: body }),
    secrets: [password, Buffer.from(`ra:${password}`).toString('base64')],
    roots: async () => [ca.root],
    validityAsAsked: { notSupported: 'EST has no field for a validity: the server decides.' },
    // A connection that waits for its next request may stay; one that hangs must be gone.
    leftovers: async () =>
      reached && server.openSockets() > 1 ? [`${server.openSockets()} connections`] : [],
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}
