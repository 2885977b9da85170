import { createHmac } from 'node:crypto';
import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import {
  type CertificateAuthority,
  defineAdapter,
  type Issuance,
  type IssueRequest,
} from '../../src/plug-in/certificate-authority.ts';
import { secretReference } from '../../src/plug-in/secret.ts';
import type { Clock } from '../../src/time/clock.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { connectionOptions } from '../shared/connection.ts';
import { issuedPem } from '../shared/issued-pem.ts';
import { type JsonApi, openApi } from '../shared/json-api.ts';
import { decided } from '../shared/refusal.ts';
import { beforeOrder } from '../shared/status-problem.ts';
import { CfsslNotFound, cfsslDialect, resultOf } from './answer.ts';
import { referenceOf } from './authority-key.ts';
import { type ProfileInfo, profileInfo, refuseWrongProfile } from './profile.ts';
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

/** How long what /info said is believed. */
const infoLifeMs = 60_000;
/** Profiles come from the configuration; a table of more is a fault. */
const mostProfiles = 100;

interface Cfssl {
  readonly options: z.output<typeof options>;
  readonly authKey: string | undefined;
  readonly api: JsonApi;
  readonly clock: Clock;
  /** What /info said, by the profile. */
  readonly known: Map<string, { readonly info: ProfileInfo; readonly until: number }>;
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
    const { clock } = context;
    const api = await openApi(given, context, {
      root: new URL('/api/v1/cfssl/', given.url).href,
      dialect: cfsslDialect,
      secrets: authKey === undefined ? [] : [authKey],
    });
    const cfssl: Cfssl = { options: given, authKey, api, clock, known: new Map() };
    return {
      kind: 'cfssl',
      features: {
        idempotent: false,
        pending: false,
        revoke: given.revoke,
        keyTypes: ['rsa', 'ec'],
        mayDrop: ['upn', 'uri'],
      },
      async check(signal) {
        await fetchInfo(cfssl, given.profile ?? '', signal);
      },
      issue: (request, signal) => decided(sign(cfssl, request, signal)),
      ...(given.revoke ? { revoke: revocation(cfssl) } : {}),
      [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
    };
  },
});

const signed = z.object({ certificate: z.string() });

async function sign(cfssl: Cfssl, request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
  const { options, authKey } = cfssl;
  const { wanted } = request;
  const profile = wanted.template ?? options.profile ?? '';
  const info = await beforeOrder(infoOf(cfssl, profile, signal));
  refuseWrongProfile(info, wanted, { profile, expiryHours: options.expiryHours });
  const order = {
    certificate_request: encodePem('CERTIFICATE REQUEST', request.csr),
    ...profileAndLabel(cfssl, profile),
    ...(options.names === 'request' ? namesOf(request) : {}),
  };
  const { certificate } =
    authKey === undefined
      ? await ask(cfssl, 'sign', order, signed, signal)
      : await ask(cfssl, 'authsign', authenticated(order, authKey), signed, signal);
  return issuedPem([certificate, info.certificate], request, 'cfssl’s certificate cannot be read');
}

function revocation(cfssl: Cfssl): NonNullable<CertificateAuthority['revoke']> {
  return async (certificate, reason, signal) => {
    const { serial, authorityKeyId } = referenceOf(certificate);
    const order = { serial, authority_key_id: authorityKeyId, reason: reason.toLowerCase() };
    try {
      // A second revocation only writes the same line again.
      await ask(cfssl, 'revoke', order, z.unknown(), signal);
    } catch (error) {
      if (!(error instanceof CfsslNotFound)) throw error;
      // Builds with a Go since 1.15, Debian's among them, write every certificate down without its issuer's key.
      await ask(cfssl, 'revoke', { ...order, authority_key_id: '' }, z.unknown(), signal);
    }
  };
}

async function infoOf(cfssl: Cfssl, profile: string, signal: AbortSignal): Promise<ProfileInfo> {
  const known = cfssl.known.get(profile);
  if (known !== undefined && cfssl.clock.now() < known.until) return known.info;
  return fetchInfo(cfssl, profile, signal);
}

async function fetchInfo(cfssl: Cfssl, profile: string, signal: AbortSignal): Promise<ProfileInfo> {
  const { known, clock } = cfssl;
  const info = await ask(cfssl, 'info', profileAndLabel(cfssl, profile), profileInfo, signal);
  if (known.size >= mostProfiles) known.clear();
  known.set(profile, { info, until: clock.now() + infoLifeMs });
  return info;
}

function profileAndLabel({ options }: Cfssl, profile: string): Record<string, string> {
  return {
    ...(profile === '' ? {} : { profile }),
    // cfssl's info refuses a body without a label, and takes the empty one for its only signer.
    label: options.label ?? '',
  };
}

async function ask<Schema extends z.ZodType>(
  { api }: Cfssl,
  path: string,
  body: object,
  schema: Schema,
  signal: AbortSignal,
): Promise<z.output<Schema>> {
  const answer = await api.send({ method: 'POST', path, body, safe: path === 'info' }, signal);
  return resultOf(api, path, answer, schema);
}

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
