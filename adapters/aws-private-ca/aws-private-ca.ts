import type { ACMPCAClient, ACMPCAClientConfig, SigningAlgorithm } from '@aws-sdk/client-acm-pca';
import { ProvisioningError } from '../../src/errors.ts';
import {
  type AuthorityFeatures,
  type CertificateAuthority,
  type ConnectContext,
  defineAdapter,
  type Issuance,
  type IssueRequest,
  type RevocationReason,
} from '../../src/plug-in/certificate-authority.ts';
import type { Opaque } from '../../src/plug-in/opaque.ts';
import type { Clock } from '../../src/time/clock.ts';
import { untilAborted } from '../../src/time/until-aborted.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { decodePem } from '../../src/x509/pem.ts';
import { connectHttp } from '../shared/connection.ts';
import type { AdapterHttp } from '../shared/http.ts';
import { beforeOrder } from '../shared/status-problem.ts';
import { type Failure, type Verdict, verdictOf } from './error.ts';
import { type Options, options } from './options.ts';
import { orderOf } from './order.ts';
import { sdkHandler } from './sdk-handler.ts';

/*
 * AWS Private Certificate Authority over the official SDK's client, which is loaded only here. IssueCertificate
 * answers with an ARN, and that is the ticket: it is in the journal before the certificate is asked for, so a crash
 * after it orders and bills nothing again.
 *
 * Not idempotent: the service remembers an IdempotencyToken for five minutes. An order whose answer was lost and
 * that is repeated later gives a second certificate.
 */

type Sdk = typeof import('@aws-sdk/client-acm-pca');

const reasons = {
  unspecified: 'UNSPECIFIED',
  keyCompromise: 'KEY_COMPROMISE',
  superseded: 'SUPERSEDED',
  cessationOfOperation: 'CESSATION_OF_OPERATION',
} as const satisfies Record<RevocationReason, string>;

export default defineAdapter({
  kind: 'aws-private-ca',
  options,
  async connect(given, context, signal) {
    signal.throwIfAborted();
    const sdk = await import('@aws-sdk/client-acm-pca');
    const http = await connectHttp(given, context);
    const client = new sdk.ACMPCAClient({
      region: given.certificateAuthorityArn.split(':')[3] ?? '',
      // The lifecycle repeats, with a backoff and under the authority's limits.
      maxAttempts: 1,
      requestHandler: sdkHandler(http, context.clock),
      ...(given.endpoint === undefined ? {} : { endpoint: given.endpoint }),
      ...(await credentialsOf(given, context)),
    });
    return new AwsPrivateCa(sdk, client, http, given, context.clock);
  },
});

async function credentialsOf(
  { credentials }: Options,
  context: ConnectContext,
): Promise<Pick<ACMPCAClientConfig, 'credentials'>> {
  if (credentials === 'default') return {};
  const { accessKeyId, sessionToken } = credentials;
  return {
    credentials: {
      accessKeyId,
      secretAccessKey: await context.readSecret(credentials.secretAccessKey),
      ...(sessionToken === undefined
        ? {}
        : { sessionToken: await context.readSecret(sessionToken) }),
    },
  };
}

class AwsPrivateCa implements CertificateAuthority {
  readonly kind = 'aws-private-ca';
  readonly features: AuthorityFeatures = {
    idempotent: false,
    pending: true,
    revoke: true,
    keyTypes: ['rsa', 'ec'],
    mayDrop: [],
  };
  readonly #sdk: Sdk;
  readonly #client: ACMPCAClient;
  readonly #http: AdapterHttp;
  readonly #options: Options;
  readonly #clock: Clock;
  #signingAlgorithm: SigningAlgorithm | undefined;

  constructor(sdk: Sdk, client: ACMPCAClient, http: AdapterHttp, given: Options, clock: Clock) {
    this.#sdk = sdk;
    this.#client = client;
    this.#http = http;
    this.#options = given;
    this.#clock = clock;
    this.#signingAlgorithm = given.signingAlgorithm;
  }

  /** Asks for the CA's state, which is free. There is no dry run: every IssueCertificate is billed. */
  async check(signal: AbortSignal): Promise<void> {
    const { Status } = await this.#describe(signal);
    if (Status === 'ACTIVE') return;
    throw new ProvisioningError(
      'ca-misconfigured',
      `aws-private-ca: the CA is ${Status ?? 'in an unknown state'}, not ACTIVE.`,
    );
  }

  async issue(request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
    signal.throwIfAborted();
    const order = orderOf(
      request,
      this.#options.certificateAuthorityArn,
      request.wanted.template ?? this.#options.template,
      await beforeOrder(this.#algorithm(signal)),
    );
    try {
      const command = new this.#sdk.IssueCertificateCommand(order);
      const { CertificateArn } = await this.#sent(
        (abortSignal) => this.#client.send(command, { abortSignal }),
        signal,
      );
      if (typeof CertificateArn === 'string' && CertificateArn.startsWith('arn:')) {
        return this.#pending(CertificateArn);
      }
    } catch (error) {
      const verdict = this.#verdict(error, 'IssueCertificate', signal);
      if (verdict.kind === 'rejected') return verdict;
    }
    throw new ProvisioningError('ca-bad-answer', 'aws-private-ca: no CertificateArn was given.');
  }

  async collect(ticket: Opaque, request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
    signal.throwIfAborted();
    if (typeof ticket !== 'string' || !ticket.startsWith('arn:')) {
      throw new ProvisioningError(
        'ca-misconfigured',
        'aws-private-ca: the ticket is no ARN. Was the kind of this authority changed while orders were open?',
      );
    }
    try {
      const command = new this.#sdk.GetCertificateCommand({
        // The order's own CA: the configuration may have another one by now.
        CertificateAuthorityArn: ticket.replace(/\/certificate\/[^/]*$/, ''),
        CertificateArn: ticket,
      });
      const { Certificate, CertificateChain } = await this.#sent(
        (abortSignal) => this.#client.send(command, { abortSignal }),
        signal,
      );
      return issued(Certificate, CertificateChain, request);
    } catch (error) {
      const verdict = this.#verdict(error, 'GetCertificate', signal);
      if (verdict.kind === 'rejected') return verdict;
      return this.#pending(ticket, verdict.kind === 'in-progress' ? verdict.retryAfterMs : 0);
    }
  }

  async revoke(
    certificate: Uint8Array,
    reason: RevocationReason,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted();
    const command = new this.#sdk.RevokeCertificateCommand({
      CertificateAuthorityArn: this.#options.certificateAuthorityArn,
      CertificateSerial: readCertificate(certificate).serialNumber.toLowerCase(),
      RevocationReason: reasons[reason],
    });
    try {
      await this.#sent((abortSignal) => this.#client.send(command, { abortSignal }), signal);
    } catch (error) {
      const verdict = this.#verdict(error, 'RevokeCertificate', signal);
      if (verdict.kind === 'done') return;
      throw new ProvisioningError(
        'ca-unavailable',
        `aws-private-ca: not revoked: ${verdict.kind}.`,
      );
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.destroy();
    await this.#http[Symbol.asyncDispose]();
  }

  /** The algorithm of the CA's own key, which is not that of the CSR's. */
  async #algorithm(signal: AbortSignal): Promise<SigningAlgorithm> {
    if (this.#signingAlgorithm !== undefined) return this.#signingAlgorithm;
    const { CertificateAuthorityConfiguration } = await this.#describe(signal);
    const algorithm = CertificateAuthorityConfiguration?.SigningAlgorithm;
    if (algorithm === undefined) {
      throw new ProvisioningError(
        'ca-bad-answer',
        'aws-private-ca: the CA does not say how it signs. Set signingAlgorithm.',
      );
    }
    this.#signingAlgorithm = algorithm;
    return algorithm;
  }

  async #describe(signal: AbortSignal) {
    signal.throwIfAborted();
    const command = new this.#sdk.DescribeCertificateAuthorityCommand({
      CertificateAuthorityArn: this.#options.certificateAuthorityArn,
    });
    try {
      const { CertificateAuthority: found } = await this.#sent(
        (abortSignal) => this.#client.send(command, { abortSignal }),
        signal,
      );
      if (found !== undefined) return found;
    } catch (error) {
      this.#verdict(error, 'DescribeCertificateAuthority', signal);
    }
    throw new ProvisioningError('ca-bad-answer', 'aws-private-ca: the CA was not described.');
  }

  /** The SDK's credential providers do not listen to a signal. */
  #sent<Output>(
    send: (signal: AbortSignal) => Promise<Output>,
    signal: AbortSignal,
  ): Promise<Output> {
    return untilAborted(send(signal), signal);
  }

  /** @throws {ProvisioningError} unless the service decided something. */
  #verdict(error: unknown, call: string, signal: AbortSignal): Exclude<Verdict, Failure> {
    signal.throwIfAborted();
    const verdict = verdictOf(error, call, this.#clock.now());
    if (verdict.kind === 'error') throw verdict.error;
    return verdict;
  }

  #pending(certificateArn: string, retryAfterMs = 0): Issuance {
    const pollAfterMs = Math.max(retryAfterMs, this.#options.pollSeconds * 1_000);
    return { kind: 'pending', ticket: certificateArn, pollAfterMs };
  }
}

function issued(
  leaf: string | undefined,
  rest: string | undefined,
  request: IssueRequest,
): Issuance {
  try {
    const [certificate, ...more] = decodePem(leaf ?? '', 'CERTIFICATE').map(({ der }) => der);
    if (certificate === undefined || more.length > 0) throw new Error('not one certificate');
    const { subjectPublicKeyInfo } = readCertificate(certificate);
    if (Buffer.compare(subjectPublicKeyInfo, request.subjectPublicKeyInfo) !== 0) {
      throw new Error('it is for another public key than the order’s');
    }
    const chain = decodePem(rest ?? '', 'CERTIFICATE').map(({ der }) => der);
    return { kind: 'issued', certificate, chain };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw new ProvisioningError(
      'ca-bad-answer',
      `aws-private-ca: the certificate cannot be read: ${problem}`,
    );
  }
}
