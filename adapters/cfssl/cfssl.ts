import { createHmac } from 'node:crypto';
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
import { beforeOrder } from '../shared/status-problem.ts';
import { CfsslNotFound, CfsslRefusal, resultOf } from './answer.ts';
import { referenceOf } from './authority-key.ts';
import { profileInfo, refuseWrongProfile } from './profile.ts';
import { subjectJson } from './subject.ts';

/*
 * Cloudflare's cfssl over its JSON API (cfssl doc/api): sign or authsign, info, revoke. It answers at once and
 * knows no idempotency key, so an answer that is lost leaves a certificate behind.
 */

const options = z.strictObject({
  url: z
    .url({ protocol: /^https?$/ })
    .describe('Where cfssl serves, without a path: `http://127.0.0.1:8888`.'),
  profile: z
    .string()
    .min(1)
    .optional()
    .describe(
      'cfssl’s signing profile, where our own profile names no template; cfssl’s default one without either. A name that cfssl does not know gives its default profile without an error.',
    ),
  expiryHours: z
    .number()
    .positive()
    .optional()
    .describe(
      'The expiry that the profile has at cfssl. Nothing is ordered when cfssl says another, as it does for a profile that it does not know.',
    ),
  label: z.string().min(1).optional().describe('Which signer, behind a multirootca.'),
  authKey: secretReference
    .optional()
    .describe('The profile’s auth key in hexadecimal. With it orders go to authsign.'),
  names: z
    .enum(['csr', 'request'])
    .default('csr')
    .describe(
      '`csr`: cfssl takes the names from the CSR. `request`: they are sent beside it as `subject` and `hosts`, for versions that read a CSR’s names incompletely.',
    ),
  revoke: z
    .boolean()
    .default(false)
    .describe('True when cfssl runs with a certificate database (-db-config), which revoke needs.'),
  ...connectionOptions,
});

type Options = z.output<typeof options>;

/** How long what /info said is believed. */
const infoLifeMs = 60_000;
/** Profiles come from the configuration; a table of more is a fault. */
const mostProfiles = 100;

interface KnownProfile {
  readonly info: z.output<typeof profileInfo>;
  readonly until: number;
}

export default defineAdapter({
  kind: 'cfssl',
  options,
  async connect(given, context, signal) {
    signal.throwIfAborted();
    const authKey =
      given.authKey === undefined ? undefined : await context.readSecret(given.authKey);
    if (authKey !== undefined && !/^([0-9a-fA-F]{2})+$/.test(authKey)) {
      throw new ProvisioningError(
        'ca-misconfigured',
        'authKey is not hexadecimal, as cfssl’s auth_keys are. Correct the secret.',
      );
    }
    return new Cfssl(given, authKey, await connectHttp(given, context), context.clock);
  },
});

class Cfssl implements CertificateAuthority {
  readonly kind = 'cfssl';
  readonly features: AuthorityFeatures;
  readonly revoke?: NonNullable<CertificateAuthority['revoke']>;
  readonly #options: Options;
  readonly #authKey: string | undefined;
  readonly #http: AdapterHttp;
  readonly #clock: Clock;
  readonly #known = new Map<string, KnownProfile>();

  constructor(given: Options, authKey: string | undefined, http: AdapterHttp, clock: Clock) {
    this.#options = given;
    this.#authKey = authKey;
    this.#http = http;
    this.#clock = clock;
    this.features = {
      idempotent: false,
      pending: false,
      revoke: given.revoke,
      keyTypes: ['rsa', 'ec'],
      mayDrop: ['upn', 'uri'],
    };
    if (given.revoke) {
      this.revoke = (certificate, reason, signal) => this.#revoke(certificate, reason, signal);
    }
  }

  async check(signal: AbortSignal): Promise<void> {
    await this.#fetchInfo(this.#options.profile ?? '', signal);
  }

  async issue(request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
    signal.throwIfAborted();
    const { wanted } = request;
    const profile = wanted.template ?? this.#options.profile ?? '';
    const info = await beforeOrder(this.#info(profile, signal));
    refuseWrongProfile(info, wanted, { profile, expiryHours: this.#options.expiryHours });
    const order = {
      certificate_request: encodePem('CERTIFICATE REQUEST', request.csr),
      ...this.#profileAndLabel(profile),
      ...(this.#options.names === 'request' ? namesOf(request) : {}),
    };
    try {
      const { certificate } =
        this.#authKey === undefined
          ? await this.#call('sign', order, signed, signal)
          : await this.#call('authsign', authenticated(order, this.#authKey), signed, signal);
      return issued(certificate, info.certificate);
    } catch (error) {
      if (error instanceof CfsslRefusal) return { kind: 'rejected', reason: error.message };
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]();
  }

  async #revoke(certificate: Uint8Array, reason: RevocationReason, signal: AbortSignal) {
    const { serial, authorityKeyId } = referenceOf(certificate);
    const order = { serial, authority_key_id: authorityKeyId, reason: reason.toLowerCase() };
    try {
      // A second revocation only writes the same line again.
      await this.#call('revoke', order, z.unknown(), signal);
    } catch (error) {
      if (!(error instanceof CfsslNotFound)) throw error;
      // Builds with a Go since 1.15, Debian's among them, write every certificate down without its issuer's key.
      await this.#call('revoke', { ...order, authority_key_id: '' }, z.unknown(), signal);
    }
  }

  async #info(profile: string, signal: AbortSignal): Promise<z.output<typeof profileInfo>> {
    const known = this.#known.get(profile);
    if (known !== undefined && this.#clock.now() < known.until) return known.info;
    return this.#fetchInfo(profile, signal);
  }

  async #fetchInfo(profile: string, signal: AbortSignal): Promise<z.output<typeof profileInfo>> {
    const info = await this.#call('info', this.#profileAndLabel(profile), profileInfo, signal);
    if (this.#known.size >= mostProfiles) this.#known.clear();
    this.#known.set(profile, { info, until: this.#clock.now() + infoLifeMs });
    return info;
  }

  #profileAndLabel(profile: string): Record<string, string> {
    const { label } = this.#options;
    return {
      ...(profile === '' ? {} : { profile }),
      // cfssl's info refuses a body without a label, and takes the empty one for its only signer.
      label: label ?? '',
    };
  }

  async #call<Schema extends z.ZodType>(
    call: string,
    body: object,
    schema: Schema,
    signal: AbortSignal,
  ): Promise<z.output<Schema>> {
    const answer = await this.#http.request(
      {
        method: 'POST',
        url: new URL(`/api/v1/cfssl/${call}`, this.#options.url).href,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
        safe: call === 'info',
      },
      signal,
    );
    const secrets = this.#authKey === undefined ? [] : [this.#authKey];
    return resultOf(answer, schema, { call, clock: this.#clock, secrets });
  }
}

const signed = z.object({ certificate: z.string() });

/** An authenticated request (cfssl doc/authentication.txt): the token is an HMAC over the very bytes sent. */
function authenticated(order: object, authKey: string): object {
  const request = Buffer.from(JSON.stringify(order));
  const hmac = createHmac('sha256', Buffer.from(authKey, 'hex')).update(request);
  return { token: hmac.digest('base64'), request: request.toString('base64') };
}

function namesOf({ wanted }: IssueRequest): object {
  const { subject, subjectAltNames } = wanted;
  // A user principal name has no form that cfssl would read.
  const hosts = subjectAltNames.filter(({ type }) => type !== 'upn').map(({ value }) => value);
  return { hosts, subject: subjectJson(subject) };
}

function issued(pem: string, caPem: string): Issuance {
  try {
    const [certificate, ...others] = readCertificates(pem);
    const chain = [...others, ...readCertificates(caPem)];
    if (certificate === undefined) throw new Error('there is none');
    for (const der of [certificate, ...chain]) readCertificate(der);
    return { kind: 'issued', certificate, chain };
  } catch (error) {
    throw new ProvisioningError(
      'ca-bad-answer',
      `cfssl's certificate cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
}
