import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import googleCas from '../../adapters/google-cas/google-cas.ts';
import type { NotSupported } from '../../conformance/harness.ts';
import type { CertificateAuthority } from '../../src/plug-in/certificate-authority.ts';
import { connectContext } from '../support/connect-context.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { GoogleCasDouble, status, token } from './doubles/google-cas.ts';
import type { HttpHarness } from './http-harness.ts';

const answersAtOnce: NotSupported = {
  notSupported: 'Google’s service issues or refuses at once: nothing waits.',
};

export interface GoogleCasHarness extends HttpHarness {
  readonly double: GoogleCasDouble;
  connect(options?: Record<string, unknown>): Promise<CertificateAuthority>;
}

/** The kind `google-cas` over its double, with a workload-identity file for its tokens. */
export async function googleCasHarness(): Promise<GoogleCasHarness> {
  const directory = await temporaryDirectory();
  const double = await GoogleCasDouble.start();
  const { server } = double;
  const context = connectContext(directory.path);
  await writeFile(join(directory.path, 'subject-token'), 'subject-token');
  const identity = {
    type: 'external_account',
    audience:
      '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: `${server.origin}/sts`,
    credential_source: { file: join(directory.path, 'subject-token') },
  };
  await writeFile(join(directory.path, 'identity.json'), JSON.stringify(identity));
  return {
    double,
    connect(more = {}) {
      const options = googleCas.options.parse({
        caPool: double.pool,
        endpoint: server.origin,
        credentials: { file: 'identity.json' },
        ...more,
      });
      return googleCas.connect(options, context, new AbortController().signal);
    },
    hooks: {
      pendThenIssue: answersAtOnce,
      pendThenReject: answersAtOnce,
      async reject() {
        const words = 'The request was denied by the issuance policy of the CA pool.';
        server.instead.push(() => status(400, 'FAILED_PRECONDITION', words));
      },
      async failOnce() {
        server.instead.push(() => status(503, 'UNAVAILABLE', 'Try again.'));
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
    secrets: [token, 'subject-token'],
    roots: () => double.signer.roots(),
    validityAsAsked: true,
    leftovers: async () => server.leftovers(),
    async [Symbol.asyncDispose]() {
      await double[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}
