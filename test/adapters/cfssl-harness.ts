import cfssl from '../../adapters/cfssl/cfssl.ts';
import type { NotSupported } from '../../conformance/harness.ts';
import { connectContext } from '../support/connect-context.ts';
import { authKey, startCfsslDouble } from './doubles/cfssl-double.ts';
import type { HttpHarness } from './http-harness.ts';

export const cfsslDecidesAtOnce: NotSupported = {
  notSupported: 'cfssl answers every order at once: nothing waits.',
};
export const profileDecidesValidity: NotSupported = {
  notSupported: 'cfssl’s profile alone decides how long a certificate is valid.',
};

const orders = /\/authsign$/;

/** The kind `cfssl` over a double. */
export async function cfsslHarness(): Promise<HttpHarness> {
  const server = await startCfsslDouble();
  const context = connectContext(server.directory, { env: { AUTH_KEY: authKey } });
  const options = cfssl.options.parse({
    url: server.url,
    profile: 'locked',
    authKey: { env: 'AUTH_KEY' },
    revoke: true,
  });
  const refusal = { code: 5500, message: `a name is not allowed, whoever has ${authKey}` };
  const harness = server.harness({
    connect: () => cfssl.connect(options, context, new AbortController().signal),
    hooks: {
      pendThenIssue: cfsslDecidesAtOnce,
      pendThenReject: cfsslDecidesAtOnce,
      reject: async () =>
        server.misspeak(orders, {
          status: 400,
          body: { success: false, result: null, errors: [refusal], messages: [] },
        }),
      failOnce: async () =>
        server.misspeak(orders, { status: 503, headers: { 'retry-after': '1' } }),
      answerGarbage: async () =>
        server.misspeak(orders, {
          status: 200,
          body: { success: true, result: { certificate: 'no PEM' }, errors: [], messages: [] },
        }),
      answerSlowly: async () => server.misspeak(orders, 'slow'),
      hang: async () => server.hang(orders),
    },
    secrets: [authKey],
    validityAsAsked: profileDecidesValidity,
  });
  return { ...harness, answerOrder: (answer) => server.misspeak(orders, answer) };
}
