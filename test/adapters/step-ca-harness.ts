import stepCa from '../../adapters/step-ca/step-ca.ts';
import type { NotSupported } from '../../conformance/harness.ts';
import { connectContext } from '../support/connect-context.ts';
import { keyPassword, provisioner, startStepCaDouble } from './doubles/step-ca-double.ts';
import type { HttpHarness } from './http-harness.ts';

export const stepCaDecidesAtOnce: NotSupported = {
  notSupported: 'step-ca answers every order at once: nothing waits.',
};

const orders = /\/1\.0\/sign$/;

/** The kind `step-ca` over a double. */
export async function stepCaHarness(): Promise<HttpHarness> {
  const { server, encryptedKey, key } = await startStepCaDouble();
  const env = { KEY: encryptedKey, PASSWORD: keyPassword };
  const context = connectContext(server.directory, { env });
  const options = stepCa.options.parse({
    url: server.url,
    provisioner,
    key: { env: 'KEY' },
    keyPassword: { env: 'PASSWORD' },
  });
  const harness = server.harness({
    connect: () => stepCa.connect(options, context, new AbortController().signal),
    hooks: {
      pendThenIssue: stepCaDecidesAtOnce,
      pendThenReject: stepCaDecidesAtOnce,
      reject: async () =>
        server.misspeak(orders, {
          status: 403,
          body: { status: 403, message: 'dns name "contract.example.org" is not allowed' },
        }),
      failOnce: async () =>
        server.misspeak(orders, { status: 500, body: { status: 500, message: 'boom' } }),
      answerGarbage: async () =>
        server.misspeak(orders, { status: 201, body: { crt: 'no PEM', certChain: [] } }),
      answerSlowly: async () => server.misspeak(orders, 'slow'),
      hang: async () => server.hang(orders),
    },
    secrets: [keyPassword, String(JSON.parse(key).d)],
    validityAsAsked: true,
  });
  return { ...harness, answerOrder: (answer) => server.misspeak(orders, answer) };
}
