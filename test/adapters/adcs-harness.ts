import adcs from '../../adapters/adcs/adcs.ts';
import type { CertificateAuthority } from '../../src/plug-in/certificate-authority.ts';
import { connectContext } from '../support/connect-context.ts';
import { AdcsDouble, account, denied, templateName } from './doubles/adcs.ts';
import type { HttpHarness } from './http-harness.ts';

export interface AdcsHarness extends HttpHarness {
  readonly double: AdcsDouble;
  connect(options?: Record<string, unknown>): Promise<CertificateAuthority>;
}

/** The kind `adcs` over its double, by one of the two transports, with user name and password. */
export async function adcsHarness(transport: 'ces' | 'certsrv'): Promise<AdcsHarness> {
  const double = await AdcsDouble.start();
  const { server } = double;
  const context = connectContext('/', { env: { CA_PASSWORD: account.password } });
  return {
    double,
    connect(more = {}) {
      const options = adcs.options.parse({
        transport,
        url: transport === 'ces' ? double.cesUrl : double.certsrvUrl,
        template: templateName,
        username: account.username,
        password: { env: 'CA_PASSWORD' },
        ...more,
      });
      return adcs.connect(options, context, new AbortController().signal);
    },
    hooks: {
      async pendThenIssue() {
        double.next = 'pend';
      },
      async pendThenReject() {
        double.next = 'pend';
        double.verdict = 0x8009_4014;
      },
      async reject() {
        double.next = 0x8009_4001;
      },
      async failOnce() {
        server.instead.push(() =>
          transport === 'ces' ? denied(0x8007_06ba, undefined) : { status: 503, body: '' },
        );
      },
      async answerGarbage() {
        server.instead.push(() => ({ status: 200, body: '<html>Welcome to the hotel</html>' }));
      },
      answerSlowly: async () => server.slow(),
      async hang() {
        return server.hang();
      },
    },
    answerOrder: (answer) => void server.instead.push(() => answer),
    secrets: [
      account.password,
      Buffer.from(`${account.username}:${account.password}`).toString('base64'),
    ],
    roots: () => double.signer.roots(),
    validityAsAsked: { notSupported: 'The validity is the template’s.' },
    leftovers: async () => server.leftovers(),
    [Symbol.asyncDispose]: () => double[Symbol.asyncDispose](),
  };
}
