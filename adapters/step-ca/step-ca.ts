import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import {
  type AuthorityFeatures,
  type CertificateAuthority,
  defineAdapter,
  type Issuance,
  type IssueRequest,
  type RevocationReason,
} from '../../src/plug-in/certificate-authority.ts';
import { secretReference } from '../../src/plug-in/secret.ts';
import type { Clock } from '../../src/time/clock.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { encodePem, readCertificates } from '../../src/x509/pem.ts';
import { connectHttp, connectionOptions } from '../shared/connection.ts';
import type { AdapterHttp } from '../shared/http.ts';
import { readJson } from '../shared/json-answer.ts';
import { beforeOrder } from '../shared/status-problem.ts';
import { problemOf, StepCaRefusal } from './answer.ts';
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
    const open = (trusted: { readonly ca?: string; readonly unverified?: true }) =>
      connectHttp(given, context, trusted);
    return new StepCa(given, mint, new Connection(given, open), context.clock);
  },
});

type Open = (trusted: { readonly ca?: string; readonly unverified?: true }) => Promise<AdapterHttp>;

/** The way to the CA; with a fingerprint its root is fetched before the first call. */
class Connection implements AsyncDisposable {
  readonly #options: Options;
  readonly #open: Open;
  readonly #closing = new AbortController();
  #http: AdapterHttp | undefined;

  constructor(given: Options, open: Open) {
    this.#options = given;
    this.#open = open;
  }

  async http(outer: AbortSignal): Promise<AdapterHttp> {
    outer.throwIfAborted();
    if (this.#http !== undefined) return this.#http;
    const { fingerprint, url } = this.#options;
    const signal = AbortSignal.any([outer, this.#closing.signal]);
    signal.throwIfAborted();
    const ca = fingerprint === undefined ? undefined : await this.#root(url, fingerprint, signal);
    const opened = await this.#open(ca === undefined ? {} : { ca });
    // Another call may have been faster.
    if (this.#http !== undefined || signal.aborted) await opened[Symbol.asyncDispose]();
    signal.throwIfAborted();
    this.#http ??= opened;
    return this.#http;
  }

  async #root(url: string, fingerprint: string, signal: AbortSignal): Promise<string> {
    await using anyServer = await this.#open({ unverified: true });
    return await fetchPinnedRoot(url, fingerprint, anyServer, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new ProvisioningError('ca-unavailable', 'The authority is closed.'));
    await this.#http?.[Symbol.asyncDispose]();
  }
}

const health = z.object({ status: z.literal('ok') });
const signed = z.object({
  crt: z.string(),
  ca: z.string().nullish(),
  certChain: z.array(z.string()).nullish(),
});

/** RFC 5280 5.3.1. */
const reasonCodes: Readonly<Record<RevocationReason, number>> = {
  unspecified: 0,
  keyCompromise: 1,
  superseded: 4,
  cessationOfOperation: 5,
};

class StepCa implements CertificateAuthority {
  readonly kind = 'step-ca';
  readonly features: AuthorityFeatures;
  readonly #options: Options;
  readonly #mint: TokenMint;
  readonly #connection: Connection;
  readonly #clock: Clock;

  constructor(given: Options, mint: TokenMint, connection: Connection, clock: Clock) {
    this.#options = given;
    this.#mint = mint;
    this.#connection = connection;
    this.#clock = clock;
    this.features = {
      idempotent: false,
      pending: false,
      revoke: true,
      keyTypes: ['rsa', 'ec'],
      mayDrop: given.leafTemplate === 'own' ? [] : ['subject', 'upn'],
    };
  }

  async check(signal: AbortSignal): Promise<void> {
    const http = await this.#connection.http(signal);
    const url = new URL('/health', this.#options.url).href;
    const answer = await http.request({ method: 'GET', url }, signal);
    if (answer.status !== 200) throw this.#problem(answer, '/health', []);
    readJson(answer, health, 'The answer to /health');
  }

  async issue(request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
    signal.throwIfAborted();
    const { wanted } = request;
    const sans = wanted.subjectAltNames
      .filter(({ type }) => type !== 'upn')
      .map(({ value }) => value);
    const commonName = wanted.subject.flat().find(({ type }) => type === '2.5.4.3')?.value;
    const subject = commonName ?? sans[0];
    if (subject === undefined) {
      const reason =
        'A token names a common name or an alternative name, and the request has neither.';
      return { kind: 'rejected', reason };
    }
    const order = {
      csr: encodePem('CERTIFICATE REQUEST', request.csr),
      ...(this.#options.validity === 'request' ? { notAfter: `${wanted.validityDays * 24}h` } : {}),
      // For the provisioner's own template, as .Insecure.User.
      ...(this.#options.leafTemplate === 'own'
        ? { templateData: { requestId: request.requestId, names: wanted.subjectAltNames } }
        : {}),
    };
    if (sans.length === 0 && this.#options.leafTemplate === 'default') {
      throw new ProvisioningError(
        'ca-misconfigured',
        'step-ca would make a DNS name of the common name of a request that has no DNS, e-mail or URI name. Add such a name to the profile, or let the provisioner have a template (leafTemplate: own).',
      );
    }
    try {
      const purpose = { subject, sans };
      const answer = await this.#post('/1.0/sign', purpose, order, signal);
      return issued(readJson(answer, signed, 'The answer to /1.0/sign'));
    } catch (error) {
      if (error instanceof StepCaRefusal) return { kind: 'rejected', reason: error.message };
      throw error;
    }
  }

  async revoke(
    certificate: Uint8Array,
    reason: RevocationReason,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted();
    const serial = decimalOf(readCertificate(certificate).serialNumber);
    const order = { serial, reasonCode: reasonCodes[reason], reason, passive: true };
    try {
      await this.#post('/1.0/revoke', { subject: serial }, order, signal);
    } catch (error) {
      if (!(error instanceof StepCaRefusal)) throw error;
      if (/already revoked/i.test(error.message)) return;
      throw new ProvisioningError('ca-misconfigured', error.message);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
  }

  async #post(
    path: string,
    purpose: Omit<TokenPurpose, 'audience'>,
    order: object,
    signal: AbortSignal,
  ) {
    const http = await beforeOrder(this.#connection.http(signal));
    const url = new URL(path, this.#options.url).href;
    const ott = await this.#mint({ ...purpose, audience: url });
    const answer = await http.request(
      {
        method: 'POST',
        url,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ ...order, ott }),
      },
      signal,
    );
    if (answer.status === 200 || answer.status === 201) return answer;
    throw this.#problem(answer, path, [ott]);
  }

  #problem(answer: Parameters<typeof problemOf>[0], call: string, secrets: readonly string[]) {
    return problemOf(answer, call, { clock: this.#clock, secrets });
  }
}

function issued({ crt, ca, certChain }: z.output<typeof signed>): Issuance {
  try {
    const [certificate] = readCertificates(crt);
    const rest = certChain?.slice(1) ?? (ca === null || ca === undefined ? [] : [ca]);
    const chain = rest.flatMap((pem) => readCertificates(pem));
    if (certificate === undefined) throw new Error('there is none');
    for (const der of [certificate, ...chain]) readCertificate(der);
    return { kind: 'issued', certificate, chain };
  } catch (error) {
    throw new ProvisioningError(
      'ca-bad-answer',
      `step-ca's certificate cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
}

/** A serial number in hexadecimal, perhaps with a minus. */
function decimalOf(hex: string): string {
  return hex.startsWith('-') ? `-${BigInt(`0x${hex.slice(1)}`)}` : `${BigInt(`0x${hex}`)}`;
}
