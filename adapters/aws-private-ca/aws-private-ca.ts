import type { ACMPCAClient, ACMPCAClientConfig, SigningAlgorithm } from '@aws-sdk/client-acm-pca';
import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import {
  type ConnectContext,
  defineAdapter,
  type Issuance,
  type IssueRequest,
} from '../../src/plug-in/certificate-authority.ts';
import type { Opaque } from '../../src/plug-in/opaque.ts';
import type { Clock } from '../../src/time/clock.ts';
import { untilAborted } from '../../src/time/until-aborted.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { connectHttp } from '../shared/connection.ts';
import { issuedToKey } from '../shared/issued-pem.ts';
import { reasonNames } from '../shared/revocation-reason.ts';
import { beforeOrder } from '../shared/status-problem.ts';
import { readTicket } from '../shared/ticket.ts';
import { type Verdict, verdictOf } from './error.ts';
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

interface PrivateCa {
  readonly sdk: typeof import('@aws-sdk/client-acm-pca');
  readonly client: ACMPCAClient;
  readonly options: Options;
  readonly clock: Clock;
  /** Of the CA's own key, which is not that of the CSR's; asked for once. */
  signingAlgorithm: SigningAlgorithm | undefined;
}

export default defineAdapter({
  kind: 'aws-private-ca',
  options,
  async connect(given, context, signal) {
    signal.throwIfAborted();
    const sdk = await import('@aws-sdk/client-acm-pca');
    const http = await connectHttp(given, context);
    const { clock } = context;
    const client = new sdk.ACMPCAClient({
      region: given.certificateAuthorityArn.split(':')[3] ?? '',
      // The lifecycle repeats, with a backoff and under the authority's limits.
      maxAttempts: 1,
      requestHandler: sdkHandler(http, clock),
      ...(given.endpoint === undefined ? {} : { endpoint: given.endpoint }),
      ...(await credentialsOf(given, context)),
    });
    const { signingAlgorithm } = given;
    const ca: PrivateCa = { sdk, client, options: given, clock, signingAlgorithm };
    return {
      kind: 'aws-private-ca',
      features: {
        idempotent: false,
        pending: true,
        revoke: true,
        keyTypes: ['rsa', 'ec'],
        mayDrop: [],
      },
      /** Asks for the CA's state, which is free. There is no dry run: every IssueCertificate is billed. */
      async check(signal) {
        const { Status } = await describe(ca, signal);
        if (Status === 'ACTIVE') return;
        throw new ProvisioningError(
          'ca-misconfigured',
          `aws-private-ca: the CA is ${Status ?? 'in an unknown state'}, not ACTIVE.`,
        );
      },
      issue: (request, signal) => issue(ca, request, signal),
      collect: (ticket, request, signal) => collect(ca, ticket, request, signal),
      async revoke(certificate, reason, signal) {
        const command = new sdk.RevokeCertificateCommand({
          CertificateAuthorityArn: given.certificateAuthorityArn,
          CertificateSerial: readCertificate(certificate).serialNumber.toLowerCase(),
          RevocationReason: reasonNames[reason],
        });
        const sent = await answerTo(ca, 'RevokeCertificate', signal, (abortSignal) =>
          client.send(command, { abortSignal }),
        );
        if ('output' in sent || sent.kind === 'done') return;
        const problem = `aws-private-ca: not revoked: ${sent.kind}.`;
        throw new ProvisioningError('ca-unavailable', problem);
      },
      async [Symbol.asyncDispose]() {
        client.destroy();
        await http[Symbol.asyncDispose]();
      },
    };
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

async function issue(ca: PrivateCa, request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
  const { sdk, client, options } = ca;
  const order = orderOf(
    request,
    options.certificateAuthorityArn,
    request.wanted.template ?? options.template,
    await beforeOrder(algorithmOf(ca, signal)),
  );
  const command = new sdk.IssueCertificateCommand(order);
  const sent = await answerTo(ca, 'IssueCertificate', signal, (abortSignal) =>
    client.send(command, { abortSignal }),
  );
  if ('output' in sent) {
    const arn = ticketShape.safeParse(sent.output.CertificateArn).data;
    if (arn !== undefined) return pending(ca, arn);
  } else if (sent.kind === 'rejected') return sent;
  throw new ProvisioningError('ca-bad-answer', 'aws-private-ca: no CertificateArn was given.');
}

const ticketShape = z.string().startsWith('arn:');

async function collect(
  ca: PrivateCa,
  ticket: Opaque,
  request: IssueRequest,
  signal: AbortSignal,
): Promise<Issuance> {
  const { sdk, client } = ca;
  const arn = readTicket(ticket, ticketShape, 'no ARN of AWS');
  const command = new sdk.GetCertificateCommand({
    // The order's own CA: the configuration may have another one by now.
    CertificateAuthorityArn: arn.replace(/\/certificate\/[^/]*$/, ''),
    CertificateArn: arn,
  });
  const sent = await answerTo(ca, 'GetCertificate', signal, (abortSignal) =>
    client.send(command, { abortSignal }),
  );
  if ('output' in sent) {
    const { Certificate, CertificateChain } = sent.output;
    const problem = 'aws-private-ca: the certificate cannot be read';
    return issuedToKey([Certificate, CertificateChain], request, problem);
  }
  if (sent.kind === 'rejected') return sent;
  return pending(ca, arn, sent.kind === 'in-progress' ? sent.retryAfterMs : 0);
}

function pending({ options }: PrivateCa, ticket: string, retryAfterMs = 0): Issuance {
  return {
    kind: 'pending',
    ticket,
    pollAfterMs: Math.max(retryAfterMs, options.pollSeconds * 1_000),
  };
}

async function algorithmOf(ca: PrivateCa, signal: AbortSignal): Promise<SigningAlgorithm> {
  ca.signingAlgorithm ??= (
    await describe(ca, signal)
  ).CertificateAuthorityConfiguration?.SigningAlgorithm;
  if (ca.signingAlgorithm !== undefined) return ca.signingAlgorithm;
  throw new ProvisioningError(
    'ca-bad-answer',
    'aws-private-ca: the CA does not say how it signs. Set signingAlgorithm.',
  );
}

async function describe(ca: PrivateCa, signal: AbortSignal) {
  const { sdk, client, options } = ca;
  const command = new sdk.DescribeCertificateAuthorityCommand({
    CertificateAuthorityArn: options.certificateAuthorityArn,
  });
  const sent = await answerTo(ca, 'DescribeCertificateAuthority', signal, (abortSignal) =>
    client.send(command, { abortSignal }),
  );
  const found = 'output' in sent ? sent.output.CertificateAuthority : undefined;
  if (found !== undefined) return found;
  throw new ProvisioningError('ca-bad-answer', 'aws-private-ca: the CA was not described.');
}

/**
 * What the service answered, or decided. The SDK's credential providers do not listen to a signal.
 *
 * @throws {ProvisioningError} unless it is one of these.
 */
async function answerTo<Output>(
  { clock }: PrivateCa,
  call: string,
  signal: AbortSignal,
  send: (signal: AbortSignal) => Promise<Output>,
): Promise<{ readonly output: Output } | Verdict> {
  signal.throwIfAborted();
  try {
    return { output: await untilAborted(send(signal), signal) };
  } catch (error) {
    signal.throwIfAborted();
    return verdictOf(error, call, clock.now());
  }
}
