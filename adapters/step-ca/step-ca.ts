import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import {
  type ConnectContext,
  defineAdapter,
  type Issuance,
  type IssueRequest,
} from '../../src/plug-in/certificate-authority.ts';
import { secretReference } from '../../src/plug-in/secret.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { connectHttp, connectionOptions } from '../shared/connection.ts';
import { issuedPem } from '../shared/issued-pem.ts';
import { JsonApi } from '../shared/json-api.ts';
import { Kept } from '../shared/kept.ts';
import { decided, Refusal } from '../shared/refusal.ts';
import { reasonCodes } from '../shared/revocation-reason.ts';
import { decimalSerial } from '../shared/serial-number.ts';
import { beforeOrder } from '../shared/status-problem.ts';
import { problemOf, stepCaDialect } from './dialect.ts';
import { type TokenMint, type TokenPurpose, tokenMint } from './one-time-token.ts';
import { fetchPinnedRoot } from './pinned-root.ts';

/*
 * smallstep's step-ca over its own API, by a JWK provisioner: each order carries a fresh one-time token that
 * names what may be certified. It answers at once and knows no idempotency key: a lost answer leaves a
 * certificate behind.
 */

const options = z.strictObject({
  url: z
    .url({ protocol: /^https?$/ })
    .describe(
      'Where the CA is, without a path. The host must be among the dnsNames of its ca.json.',
    ),
  provisioner: z.string().min(1).describe('The name of a JWK provisioner.'),
  key: secretReference.describe(
    'The provisioner’s private key: a JWK, or the `encryptedKey` (JWE) that ca.json has for it.',
  ),
  keyPassword: secretReference
    .optional()
    .describe('The provisioner’s password, when its key is encrypted.'),
  fingerprint: z
    .string()
    .regex(/^[0-9a-fA-F]{64}$/, 'not the 64 hexadecimal digits of a SHA-256')
    .optional()
    .describe(
      'SHA-256 of the CA’s root, as `step certificate fingerprint` prints it: the root is fetched and trusted for TLS. tls.caFile is the other way.',
    ),
  validity: z
    .enum(['request', 'provisioner'])
    .default('request')
    .describe(
      '`request`: the profile’s validityDays are asked for, within the provisioner’s maxTLSCertDuration (24 hours unless raised). `provisioner`: its default.',
    ),
  leafTemplate: z
    .enum(['default', 'own'])
    .default('default')
    .describe(
      '`default`: smallstep’s, which keeps the common name and the DNS, e-mail and URI names, nothing else of the subject, and no user principal name. `own`: the provisioner’s template keeps them all.',
    ),
  ...connectionOptions,
});

type Options = z.output<typeof options>;

interface StepCa {
  readonly options: Options;
  readonly mint: TokenMint;
  readonly api: Kept<JsonApi>;
}

export default defineAdapter({
  kind: 'step-ca',
  takesTemplate: false,
  options,
  async connect(given, context, signal) {
    signal.throwIfAborted();
    const key = await context.readSecret(given.key);
    const password =
      given.keyPassword === undefined ? undefined : await context.readSecret(given.keyPassword);
    const mint = await tokenMint(given.provisioner, key, password, context.clock);
    const opened = new AsyncDisposableStack();
    const api = await apiOf(given, context, opened);
    opened.use(api);
    const stepCa = { options: given, mint, api };
    return {
      kind: 'step-ca',
      features: {
        idempotent: false,
        pending: false,
        revoke: true,
        keyTypes: ['rsa', 'ec'],
        mayDrop: given.leafTemplate === 'own' ? [] : ['subject', 'upn'],
      },
      async check(signal) {
        const current = await api.current(signal);
        const answer = await current.send({ method: 'GET', path: '/health' }, signal);
        if (answer.status !== 200) throw current.problem('/health', answer);
        current.read(answer, health, 'The answer to /health');
      },
      issue: (request, signal) => decided(sign(stepCa, request, signal)),
      async revoke(certificate, reason, signal) {
        const serial = decimalSerial(readCertificate(certificate).serialNumber);
        const order = { serial, reasonCode: reasonCodes[reason], reason, passive: true };
        try {
          await post(stepCa, '/1.0/revoke', { subject: serial }, order, z.unknown(), signal);
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
          if (/already revoked/i.test(error.message)) return;
          throw new ProvisioningError('ca-misconfigured', error.message);
        }
      },
      [Symbol.asyncDispose]: () => opened.disposeAsync(),
    };
  },
});

/** The way to the CA; with a fingerprint its root is fetched before the first call. */
async function apiOf(
  given: Options,
  context: ConnectContext,
  opened: AsyncDisposableStack,
): Promise<Kept<JsonApi>> {
  const { fingerprint, url } = given;
  const { clock } = context;
  const root = new URL(url).origin;
  const trust = fingerprint === undefined ? {} : ({ unverified: true } as const);
  const first = opened.use(await connectHttp(given, context, trust));
  return new Kept(clock, async (_held, signal) => {
    const ca = fingerprint && (await fetchPinnedRoot(url, fingerprint, first, signal));
    const http = ca === undefined ? first : await connectHttp(given, context, { ca });
    signal.throwIfAborted();
    const api = new JsonApi({ http, clock, root, dialect: stepCaDialect });
    return { value: opened.use(api), renewAt: Number.POSITIVE_INFINITY };
  });
}

const health = z.object({ status: z.literal('ok') });
const signed = z.object({
  crt: z.string(),
  ca: z.string().nullish(),
  certChain: z.array(z.string()).nullish(),
});

async function sign(stepCa: StepCa, request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
  const { validity, leafTemplate } = stepCa.options;
  const { wanted } = request;
  const sans = wanted.subjectAltNames
    .filter(({ type }) => type !== 'upn')
    .map(({ value }) => value);
  const commonName = wanted.subject.flat().find(({ type }) => type === '2.5.4.3')?.value;
  const subject = commonName ?? sans[0];
  if (subject === undefined) {
    throw new Refusal(
      'A token names a common name or an alternative name, and the request has neither.',
    );
  }
  if (sans.length === 0 && leafTemplate === 'default') {
    throw new ProvisioningError(
      'ca-misconfigured',
      'step-ca would make a DNS name of the common name of a request that has no DNS, e-mail or URI name. Add such a name to the profile, or let the provisioner have a template (leafTemplate: own).',
    );
  }
  const order = {
    csr: encodePem('CERTIFICATE REQUEST', request.csr),
    ...(validity === 'request' ? { notAfter: `${wanted.validityDays * 24}h` } : {}),
    // For the provisioner's own template, as .Insecure.User.
    ...(leafTemplate === 'own'
      ? { templateData: { requestId: request.requestId, names: wanted.subjectAltNames } }
      : {}),
  };
  const purpose = { subject, sans };
  const answer = await post(stepCa, '/1.0/sign', purpose, order, signed, signal);
  const { crt, ca, certChain } = answer;
  const chain = certChain?.slice(1) ?? [ca];
  return issuedPem([crt, ...chain], request, 'step-ca’s certificate cannot be read');
}

/** A call with a token that is good for this one. */
async function post<Schema extends z.ZodType>(
  { options, mint, api }: StepCa,
  path: string,
  purpose: Omit<TokenPurpose, 'audience'>,
  order: object,
  schema: Schema,
  signal: AbortSignal,
): Promise<z.output<Schema>> {
  const current = await beforeOrder(api.current(signal));
  const ott = await mint({ ...purpose, audience: new URL(path, options.url).href });
  const answer = await current.send({ method: 'POST', path, body: { ...order, ott } }, signal);
  if (answer.status !== 200 && answer.status !== 201) throw problemOf(current, path, answer, ott);
  return current.read(answer, schema, `The answer to ${path}`);
}
