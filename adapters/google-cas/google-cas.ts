import { ProvisioningError } from '../../src/errors.ts';
import { createAuthClient } from '../../src/google-auth/auth-client.ts';
import {
  type CertificateAuthority,
  defineAdapter,
  type Issuance,
  type IssueRequest,
} from '../../src/plug-in/certificate-authority.ts';
import { untilAborted } from '../../src/time/until-aborted.ts';
import { messageOf } from '../../src/words/message-of.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { type JsonAnswer, type JsonApi, openApi } from '../shared/json-api.ts';
import { reasonNames } from '../shared/revocation-reason.ts';
import { serverWords } from '../shared/server-words.ts';
import { beforeOrder } from '../shared/status-problem.ts';
import {
  entryOf,
  googleDialect,
  isDecision,
  isExisting,
  issuanceOf,
  permissions,
} from './answer.ts';
import { type Options, options } from './options.ts';

/*
 * Google Cloud Certificate Authority Service, REST API v1 (the discovery document of privateca.googleapis.com).
 * In the tier `enterprise` the certificate's id is made from the order's requestId: when it exists already, it is
 * fetched by its name, so an order can be repeated at any time and never gives a second certificate.
 */

const scope = 'https://www.googleapis.com/auth/cloud-platform';
const daySeconds = 24 * 3600;

interface Pool {
  readonly options: Options;
  readonly api: JsonApi;
  readonly token: TokenSource;
  /** Whether the pool remembers its certificates, by their ids. */
  readonly isDurable: boolean;
}

export default defineAdapter({
  kind: 'google-cas',
  options,
  // The quota of one CA in the tier `enterprise`; `devops` has 25.
  requestsPerSecond: 7,
  async connect(given, context, signal) {
    signal.throwIfAborted();
    const { credentials, endpoint, caPool } = given;
    const token = tokenSource(
      typeof credentials === 'string'
        ? credentials
        : { file: context.resolvePath(credentials.file) },
    );
    const api = await openApi(given, context, {
      root: `${endpoint.replace(/\/$/, '')}/v1/${caPool}`,
      dialect: googleDialect,
    });
    const isDurable = given.tier === 'enterprise';
    const pool = { options: given, api, token, isDurable };
    return {
      kind: 'google-cas',
      features: {
        idempotent: isDurable,
        pending: false,
        revoke: isDurable,
        keyTypes: ['rsa', 'ec'],
        // What a pool leaves out is a matter of its passthrough flags: of one installation, not of the kind.
        mayDrop: [],
      },
      check: (signal) => checkPermissions(pool, signal),
      issue: (request, signal) => issue(pool, request, signal),
      ...(isDurable ? { revoke: revocation(pool) } : {}),
      [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
    };
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
      const reason = serverWords(messageOf(error), [], 300);
      throw new ProvisioningError(
        'ca-misconfigured',
        `google-cas: no access token could be had: ${reason}. Check the authority's credentials.`,
      );
    }
  };
}

/** Needs no permission itself, costs nothing and issues nothing. */
async function checkPermissions(pool: Pool, signal: AbortSignal): Promise<void> {
  const needed = ['privateca.certificates.create'];
  if (pool.isDurable) needed.push('privateca.certificates.get');
  const answer = await post(pool, ':testIamPermissions', { permissions: needed }, signal);
  if (answer.status !== 200) throw pool.api.problem('check', answer);
  const granted = pool.api.read(answer, permissions, 'google-cas').permissions;
  const missing = needed.filter((permission) => !granted.includes(permission));
  if (missing.length === 0) return;
  throw new ProvisioningError(
    'ca-misconfigured',
    `google-cas: the credentials lack ${missing.join(' and ')} on ${pool.options.caPool}. Grant roles/privateca.certificateRequester, and in the tier enterprise roles/privateca.certificateManager.`,
  );
}

async function issue(pool: Pool, request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
  const { api, options, isDurable } = pool;
  const path = orderPath(request.requestId, options);
  const answer = await post(pool, path, orderOf(request, options), signal);
  if (answer.status === 200) return issuanceOf(api, answer, request);
  if (isExisting(answer) && isDurable) return fetchEarlier(pool, request, signal);
  if (isDecision(answer)) return { kind: 'rejected', reason: api.words(answer.own ?? '') };
  throw api.problem('certificates.create', answer);
}

function orderPath(requestId: string, { tier, certificateAuthority }: Options): string {
  const query = new URLSearchParams({ requestId: uuidOf(requestId) });
  if (tier === 'enterprise') query.set('certificateId', certificateIdOf(requestId));
  if (certificateAuthority !== undefined) {
    query.set('issuingCertificateAuthorityId', certificateAuthority);
  }
  return `/certificates?${query}`;
}

function orderOf({ csr, wanted }: IssueRequest, options: Options): object {
  const { subjectMode, caPool } = options;
  const template = wanted.template ?? options.template;
  return {
    pemCsr: encodePem('CERTIFICATE REQUEST', csr),
    lifetime: `${wanted.validityDays * daySeconds}s`,
    ...(subjectMode === 'DEFAULT' ? {} : { subjectMode }),
    ...(template === undefined ? {} : { certificateTemplate: templateName(template, caPool) }),
  };
}

function templateName(template: string, caPool: string): string {
  if (template.includes('/')) return template;
  return `${caPool.replace(/\/caPools\/.*$/, '')}/certificateTemplates/${template}`;
}

/** The certificate of an earlier attempt. */
async function fetchEarlier(
  pool: Pool,
  request: IssueRequest,
  signal: AbortSignal,
): Promise<Issuance> {
  const path = `/certificates/${certificateIdOf(request.requestId)}`;
  const answer = await call(pool, { method: 'GET', path }, signal);
  if (answer.status === 200) return issuanceOf(pool.api, answer, request);
  // It exists and is not there: the earlier attempt is still under way.
  if (answer.status === 404) {
    throw new ProvisioningError(
      'ca-unavailable',
      `google-cas: ${pool.api.words(answer.own ?? answer.body)}`,
    );
  }
  throw pool.api.problem('certificates.get', answer);
}

function revocation(pool: Pool): NonNullable<CertificateAuthority['revoke']> {
  const { api, options } = pool;
  return async (certificate, reason, signal) => {
    const name = await nameOf(pool, certificate, signal);
    if (name === undefined) return;
    const path = `${name.slice(options.caPool.length)}:revoke`;
    const apiReason =
      reason === 'unspecified' ? 'REVOCATION_REASON_UNSPECIFIED' : reasonNames[reason];
    const answer = await post(pool, path, { reason: apiReason }, signal);
    if (answer.status !== 200) throw api.problem('certificates.revoke', answer);
  };
}

/** Its name in the pool; undefined when it is revoked already. The serial number is all that leads there. */
async function nameOf(
  pool: Pool,
  certificate: Uint8Array,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { api, options } = pool;
  const serial = readCertificate(certificate).serialNumber.toLowerCase();
  // As gcloud looks a serial number up.
  const filter = `certificate_description.subject_description.hex_serial_number:${serial}`;
  const query = new URLSearchParams({ filter, pageSize: '10' });
  const answer = await call(pool, { method: 'GET', path: `/certificates?${query}` }, signal);
  if (answer.status !== 200) throw api.problem('certificates.list', answer);
  const found = entryOf(api, answer, certificate);
  if (found?.name.startsWith(`${options.caPool}/certificates/`) === true) {
    return found.revocationDetails === undefined ? found.name : undefined;
  }
  throw new ProvisioningError(
    'ca-bad-answer',
    `google-cas: ${options.caPool} lists no certificate with the serial number ${serial}.`,
  );
}

function post(pool: Pool, path: string, body: object, signal: AbortSignal): Promise<JsonAnswer> {
  return call(pool, { method: 'POST', path, body }, signal);
}

/** `path` follows the pool's name. */
async function call(
  { api, token }: Pool,
  what: Parameters<JsonApi['send']>[0],
  signal: AbortSignal,
): Promise<JsonAnswer> {
  signal.throwIfAborted();
  const authorization = await beforeOrder(untilAborted(token(), signal));
  if (authorization !== undefined) api.keepSecret(authorization.replace(/^Bearer /, ''));
  return api.send({ ...what, headers: { authorization } }, signal);
}

/** `[A-Za-z0-9_-]{1,63}`, unique in the pool for ever. */
function certificateIdOf(requestId: string): string {
  return `certprov-${requestId}`;
}

/** 32 hexadecimal digits as a UUID. */
function uuidOf(requestId: string): string {
  return requestId.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
