import { ProvisioningError } from '../../src/errors.ts';
import { createAuthClient } from '../../src/google-auth/auth-client.ts';
import {
  type AuthorityFeatures,
  type CertificateAuthority,
  defineAdapter,
  type Issuance,
  type IssueRequest,
  type RevocationReason,
} from '../../src/plug-in/certificate-authority.ts';
import type { Clock } from '../../src/time/clock.ts';
import { untilAborted } from '../../src/time/until-aborted.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { connectHttp } from '../shared/connection.ts';
import type { AdapterHttp, HttpAnswer } from '../shared/http.ts';
import { serverWords } from '../shared/server-words.ts';
import { beforeOrder } from '../shared/status-problem.ts';
import {
  entryOf,
  errorOf,
  isDecision,
  issuanceOf,
  permissionsOf,
  type Refusal,
  refusalOf,
} from './answer.ts';
import { type Options, options } from './options.ts';

/*
 * Google Cloud Certificate Authority Service, REST API v1 (the discovery document of privateca.googleapis.com).
 * In the tier `enterprise` the certificate's id is made from the order's requestId: when it exists already, it is
 * fetched by its name, so an order can be repeated at any time and never gives a second certificate.
 */

const scope = 'https://www.googleapis.com/auth/cloud-platform';

/** CRLReason of RFC 5280 5.3.1 by the API's names. */
const reasons: Readonly<Record<RevocationReason, string>> = {
  unspecified: 'REVOCATION_REASON_UNSPECIFIED',
  keyCompromise: 'KEY_COMPROMISE',
  superseded: 'SUPERSEDED',
  cessationOfOperation: 'CESSATION_OF_OPERATION',
};

const daySeconds = 24 * 3600;

export default defineAdapter({
  kind: 'google-cas',
  options,
  // The quota of one CA in the tier `enterprise`; `devops` has 25.
  requestsPerSecond: 7,
  async connect(given, context, signal) {
    signal.throwIfAborted();
    const { credentials } = given;
    const token = tokenSource(
      typeof credentials === 'string'
        ? credentials
        : { file: context.resolvePath(credentials.file) },
    );
    return new GoogleCas(given, await connectHttp(given, context), token, context.clock);
  },
});

/** Gives the Authorization header, or undefined where none is to be sent. */
type TokenSource = () => Promise<string | undefined>;

/** The library keeps a token until shortly before it expires. */
function tokenSource(credentials: Parameters<typeof createAuthClient>[0] | 'none'): TokenSource {
  if (credentials === 'none') return async () => undefined;
  let client: ReturnType<typeof createAuthClient> | undefined;
  return async () => {
    try {
      client ??= createAuthClient(credentials, [scope]);
      const { token } = await (await client).getAccessToken();
      // It becomes part of a header.
      if (typeof token === 'string' && /^[\x21-\x7e]+$/.test(token)) return `Bearer ${token}`;
      throw new Error('the answer has no access token');
    } catch (error) {
      // A corrected key file is read the next time.
      client = undefined;
      const reason = serverWords(error instanceof Error ? error.message : String(error), [], 300);
      throw new ProvisioningError(
        'ca-misconfigured',
        `google-cas: no access token could be had: ${reason}. Check the authority's credentials.`,
      );
    }
  };
}

class GoogleCas implements CertificateAuthority {
  readonly kind = 'google-cas';
  readonly features: AuthorityFeatures;
  readonly revoke?: NonNullable<CertificateAuthority['revoke']>;
  readonly #options: Options;
  readonly #http: AdapterHttp;
  readonly #token: TokenSource;
  readonly #clock: Clock;

  constructor(given: Options, http: AdapterHttp, token: TokenSource, clock: Clock) {
    this.#options = given;
    this.#http = http;
    this.#token = token;
    this.#clock = clock;
    const durable = given.tier === 'enterprise';
    this.features = {
      idempotent: durable,
      pending: false,
      revoke: durable,
      keyTypes: ['rsa', 'ec'],
      // What a pool leaves out is a matter of its passthrough flags: of one installation, not of the kind.
      mayDrop: [],
    };
    if (durable) this.revoke = this.#revoke;
  }

  /** Needs no permission itself, costs nothing and issues nothing. */
  async check(signal: AbortSignal): Promise<void> {
    const needed = ['privateca.certificates.create'];
    if (this.features.idempotent) needed.push('privateca.certificates.get');
    const body = { permissions: needed };
    const answer = await this.#call('POST', ':testIamPermissions', body, signal);
    if (answer.status !== 200) throw errorOf(refusalOf(answer), 'check', this.#clock.now());
    const granted = permissionsOf(answer);
    const missing = needed.filter((permission) => !granted.includes(permission));
    if (missing.length === 0) return;
    throw new ProvisioningError(
      'ca-misconfigured',
      `google-cas: the credentials lack ${missing.join(' and ')} on ${this.#options.caPool}. Grant roles/privateca.certificateRequester, and in the tier enterprise roles/privateca.certificateManager.`,
    );
  }

  async issue(request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
    const answer = await this.#call('POST', this.#orderPath(request), this.#order(request), signal);
    if (answer.status === 200) return issuanceOf(answer, request.subjectPublicKeyInfo);
    const refusal = refusalOf(answer);
    if (isExisting(refusal) && this.features.idempotent) return this.#fetch(request, signal);
    if (isDecision(refusal)) {
      return { kind: 'rejected', reason: `${refusal.reason}: ${refusal.words}` };
    }
    throw errorOf(refusal, 'certificates.create', this.#clock.now());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]();
  }

  #orderPath({ requestId }: IssueRequest): string {
    const { tier, certificateAuthority } = this.#options;
    const query = new URLSearchParams({ requestId: uuidOf(requestId) });
    if (tier === 'enterprise') query.set('certificateId', certificateIdOf(requestId));
    if (certificateAuthority !== undefined) {
      query.set('issuingCertificateAuthorityId', certificateAuthority);
    }
    return `/certificates?${query}`;
  }

  #order({ csr, wanted }: IssueRequest): object {
    const { subjectMode } = this.#options;
    const template = wanted.template ?? this.#options.template;
    return {
      pemCsr: encodePem('CERTIFICATE REQUEST', csr),
      lifetime: `${wanted.validityDays * daySeconds}s`,
      ...(subjectMode === 'DEFAULT' ? {} : { subjectMode }),
      ...(template === undefined ? {} : { certificateTemplate: this.#templateName(template) }),
    };
  }

  #templateName(template: string): string {
    if (template.includes('/')) return template;
    const location = this.#options.caPool.replace(/\/caPools\/.*$/, '');
    return `${location}/certificateTemplates/${template}`;
  }

  /** The certificate of an earlier attempt. */
  async #fetch(request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
    const path = `/certificates/${certificateIdOf(request.requestId)}`;
    const answer = await this.#call('GET', path, undefined, signal);
    if (answer.status === 200) return issuanceOf(answer, request.subjectPublicKeyInfo);
    const refusal = refusalOf(answer);
    // It exists and is not there: the earlier attempt is still under way.
    if (refusal.status === 404) {
      throw new ProvisioningError('ca-unavailable', `google-cas: ${refusal.words}`);
    }
    throw errorOf(refusal, 'certificates.get', this.#clock.now());
  }

  readonly #revoke = async (
    certificate: Uint8Array,
    reason: RevocationReason,
    signal: AbortSignal,
  ): Promise<void> => {
    const name = await this.#nameOf(certificate, signal);
    if (name === undefined) return;
    const path = `${name.slice(this.#options.caPool.length)}:revoke`;
    const answer = await this.#call('POST', path, { reason: reasons[reason] }, signal);
    if (answer.status !== 200)
      throw errorOf(refusalOf(answer), 'certificates.revoke', this.#clock.now());
  };

  /** Its name in the pool; undefined when it is revoked already. The serial number is all that leads there. */
  async #nameOf(certificate: Uint8Array, signal: AbortSignal): Promise<string | undefined> {
    const serial = readCertificate(certificate).serialNumber.toLowerCase();
    // As gcloud looks a serial number up.
    const filter = `certificate_description.subject_description.hex_serial_number:${serial}`;
    const query = new URLSearchParams({ filter, pageSize: '10' });
    const answer = await this.#call('GET', `/certificates?${query}`, undefined, signal);
    if (answer.status !== 200)
      throw errorOf(refusalOf(answer), 'certificates.list', this.#clock.now());
    const found = entryOf(answer, certificate);
    if (found?.name.startsWith(`${this.#options.caPool}/certificates/`) === true) {
      return found.revoked ? undefined : found.name;
    }
    throw new ProvisioningError(
      'ca-bad-answer',
      `google-cas: ${this.#options.caPool} lists no certificate with the serial number ${serial}.`,
    );
  }

  /** `path` follows the pool's name. */
  async #call(
    method: 'GET' | 'POST',
    path: string,
    body: object | undefined,
    signal: AbortSignal,
  ): Promise<HttpAnswer> {
    signal.throwIfAborted();
    const { endpoint, caPool } = this.#options;
    const authorization = await beforeOrder(untilAborted(this.#token(), signal));
    return this.#http.request(
      {
        method,
        url: `${endpoint.replace(/\/$/, '')}/v1/${caPool}${path}`,
        headers: {
          accept: 'application/json',
          ...(authorization === undefined ? {} : { authorization }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      },
      signal,
    );
  }
}

function isExisting({ status, reason }: Refusal): boolean {
  return status === 409 && (reason === 'ALREADY_EXISTS' || reason === '');
}

/** `[A-Za-z0-9_-]{1,63}`, unique in the pool for ever. */
function certificateIdOf(requestId: string): string {
  return `certprov-${requestId}`;
}

/** 32 hexadecimal digits as a UUID. */
function uuidOf(requestId: string): string {
  return requestId.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
