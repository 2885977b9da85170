import awsPrivateCa from '../../adapters/aws-private-ca/aws-private-ca.ts';
import type { CertificateAuthority, Issuance } from '../../src/plug-in/certificate-authority.ts';
import { collectFrom } from '../support/collect-from.ts';
import { connectContext } from '../support/connect-context.ts';
import { AwsPrivateCaDouble, caArn, problem } from './doubles/aws-private-ca.ts';
import type { HttpHarness } from './http-harness.ts';

const secretKey = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';

export interface AwsHarness extends HttpHarness {
  readonly double: AwsPrivateCaDouble;
  /** As the lifecycle has it: every order is pending at first. */
  connectPlain(options?: Record<string, unknown>): Promise<CertificateAuthority>;
}

/**
 * The kind `aws-private-ca` over its double. Every order is pending at first, as the ARN has to be kept before anything
 * else; so that the contract's other cases see what comes of an order, `connect` goes on to collect unless a case is
 * about pending orders.
 */
export async function awsPrivateCaHarness(): Promise<AwsHarness> {
  const double = await AwsPrivateCaDouble.start();
  const { server } = double;
  const context = connectContext('/', { env: { AWS_KEY: secretKey } });
  let pends = false;
  const connectPlain = (more = {}) => {
    const options = awsPrivateCa.options.parse({
      certificateAuthorityArn: caArn,
      endpoint: server.origin,
      credentials: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: { env: 'AWS_KEY' } },
      ...more,
    });
    return awsPrivateCa.connect(options, context, new AbortController().signal);
  };
  return {
    double,
    connectPlain,
    connect: async () => followed(await connectPlain(), () => pends),
    hooks: {
      async pendThenIssue() {
        pends = true;
        double.inProgress = 1;
      },
      async pendThenReject() {
        pends = true;
        double.inProgress = 1;
        double.requestFails = true;
      },
      async reject() {
        server.instead.push(() => problem('MalformedCSRException', 'The CSR is not valid.'));
      },
      async failOnce() {
        server.instead.push(() => problem('ThrottlingException', 'Rate exceeded'));
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
    secrets: [secretKey],
    roots: () => double.signer.roots(),
    validityAsAsked: true,
    leftovers: async () => server.leftovers(),
    [Symbol.asyncDispose]: () => double[Symbol.asyncDispose](),
  };
}

function followed(authority: CertificateAuthority, pends: () => boolean): CertificateAuthority {
  const issue: CertificateAuthority['issue'] = async (request, signal): Promise<Issuance> => {
    const answer = await authority.issue(request, signal);
    if (answer.kind !== 'pending' || pends()) return answer;
    const found = await collectFrom(authority, answer.ticket, request, signal);
    if (found.kind === 'lost') throw new Error(found.reason);
    return found;
  };
  return new Proxy(authority, {
    get(target, property) {
      if (property === 'issue') return issue;
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
