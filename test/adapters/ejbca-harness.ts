import ejbca from '../../adapters/ejbca/ejbca.ts';
import { connectContext } from '../support/connect-context.ts';
import { EjbcaServer } from './doubles/ejbca-server.ts';
import type { HttpHarness } from './http-harness.ts';

/** The kind `ejbca` over a double of EJBCA, with a token of an OAuth provider. */
export async function ejbcaHarness(): Promise<HttpHarness> {
  const server = await EjbcaServer.start();
  const secret = 'a secret: +/%';
  server.clients.set('certprov', secret);
  const context = connectContext('.', { env: { CLIENT_SECRET: secret } });
  const options = ejbca.options.parse({
    url: server.url,
    certificateAuthority: 'Wi-Fi CA',
    endEntityProfile: 'Chromebooks',
    certificateProfile: 'Wi-Fi',
    auth: {
      method: 'oauth',
      tokenUrl: `${server.server.origin}/oauth/token`,
      clientId: 'certprov',
      clientSecret: { env: 'CLIENT_SECRET' },
    },
  });
  const isOrder = ({ path }: { path: string }) => path.endsWith('/pkcs10enroll');
  return {
    connect: () => ejbca.connect(options, context, new AbortController().signal),
    hooks: {
      async pendThenIssue() {
        server.approvals.push('approve');
        server.server.misbehave(
          { status: 202, body: { status_code: 202, info_message: 'Still waiting.' } },
          ({ path }) => path.endsWith('/finalize'),
        );
      },
      pendThenReject: async () => void server.approvals.push('refuse'),
      async reject() {
        server.refusesNames = true;
      },
      async failOnce() {
        const body = { error_code: 503, error_message: `CA offline, ${[...server.tokens][0]}` };
        server.server.misbehave({ status: 503, body }, isOrder);
      },
      async answerGarbage() {
        const body = { certificate: 'c29vbg==', response_format: 'DER' };
        server.server.misbehave({ status: 201, body }, isOrder);
      },
      answerSlowly: async () => server.server.misbehave('slow', isOrder),
      async hang() {
        server.server.misbehave('hang', isOrder);
        return { reached: () => server.server.reached() };
      },
    },
    answerOrder: (answer) => server.server.misbehave(answer, isOrder),
    secrets: [secret, 'token-1'],
    roots: async () => [server.ca.root],
    validityAsAsked: {
      notSupported: 'EJBCA’s certificate profile decides the validity, not the order.',
    },
    leftovers: async () => server.server.held,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
