import acme from '../../adapters/acme/acme.ts';
import type { NotSupported } from '../../conformance/harness.ts';
import { connectContext } from '../support/connect-context.ts';
import { AcmeDouble } from './doubles/acme-double.ts';
import type { HttpHarness } from './http-harness.ts';

export const acmeValidity: NotSupported = {
  notSupported:
    'An ACME CA decides itself how long a certificate is valid; few let an order say it.',
};

const hmacKey = 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W';
const newOrders = /^\/order$/;

function problem(type: string, status: number, detail: string) {
  return { status, body: { type: `urn:ietf:params:acme:error:${type}`, detail } };
}

/** The kind `acme` over a double that wants an external account, and has authorised the names before. */
export async function acmeHarness(): Promise<HttpHarness> {
  const externalAccount = { kid: 'kid-1', hmacKey };
  const double = await AcmeDouble.start({ preauthorised: true, externalAccount });
  const { server } = double;
  const context = connectContext(server.directory, { env: { HMAC: hmacKey } });
  const options = acme.options.parse({
    directoryUrl: double.directoryUrl,
    directory: './account',
    termsOfServiceAgreed: true,
    externalAccount: { keyId: 'kid-1', hmacKey: { env: 'HMAC' } },
  });
  const harness = server.harness({
    connect: () => acme.connect(options, context, new AbortController().signal),
    hooks: {
      pendThenIssue: async () => undefined,
      pendThenReject: async () =>
        server.misspeak(/^\/finalize\//, problem('badCSR', 400, 'policy forbids this key')),
      reject: async () =>
        server.misspeak(newOrders, problem('rejectedIdentifier', 400, 'policy forbids it')),
      failOnce: async () => server.misspeak(newOrders, problem('serverInternal', 500, 'boom')),
      answerGarbage: async () => server.misspeak(newOrders, { status: 201, body: '<html>' }),
      answerSlowly: async () => server.misspeak(newOrders, 'slow'),
      hang: async () => server.hang(newOrders),
    },
    secrets: [hmacKey],
    validityAsAsked: acmeValidity,
  });
  return { ...harness, answerOrder: (answer) => server.misspeak(/^\/finalize\//, answer) };
}
