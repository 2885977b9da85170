import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { readCertificationRequest } from '../../../src/request/read-certification-request.ts';
import type { SubjectAltName } from '../../../src/x509/alt-name-form.ts';
import { readCertificate } from '../../../src/x509/certificate.ts';
import { decodePem, encodePem } from '../../../src/x509/pem.ts';
import type { KeyUsage } from '../../../src/x509/usages.ts';
import { SigningCa } from '../../support/signing-ca.ts';
import {
  type ReceivedRequest,
  ScriptedHttpServer,
  type ServerAnswer,
} from './scripted-http-server.ts';

/*
 * Vault and OpenBao, as far as their HTTP API documentation describes what the adapter uses:
 *   “System backend: /sys/health”; “Auth methods: Token (lookup-self, renew-self), AppRole, Kubernetes, JWT:
 *   Login”; “Secrets engines: PKI: Sign certificate, Sign verbatim, Revoke certificate”; “HTTP API: status
 *   codes, errors, namespaces”.
 * Unknown parameters are refused here (Vault ignores them), so that a misspelt one cannot pass.
 */

export interface VaultRole {
  readonly useCsrSans?: boolean;
  readonly useCsrCommonName?: boolean;
  readonly keyType?: 'rsa' | 'ec' | 'any';
  /** Ends of names that are allowed; anything when absent. */
  readonly allowedDomain?: string;
  readonly allowsUris?: boolean;
  readonly maxTtlSeconds?: number;
  readonly noStore?: boolean;
}

interface HeldToken {
  readonly renewable: boolean;
  readonly canSign: boolean;
  expiresAt: number;
}

const dns = 'team/wifi';
const signParameters = z.strictObject({
  csr: z.string().startsWith('-----BEGIN CERTIFICATE REQUEST-----'),
  format: z.literal('pem'),
  ttl: z
    .string()
    .regex(/^\d+s$/)
    .optional(),
  not_after: z.iso.datetime().optional(),
  common_name: z.string().optional(),
  exclude_cn_from_sans: z.boolean().optional(),
  alt_names: z.string().optional(),
  uri_sans: z.array(z.string()).optional(),
  other_sans: z.array(z.string()).optional(),
});
const verbatimParameters = signParameters
  .omit({ alt_names: true, uri_sans: true, other_sans: true, common_name: true })
  .extend({
    key_usage: z.array(z.string()),
    ext_key_usage: z.array(z.string()),
    ext_key_usage_oids: z.array(z.string()),
  });
const revokeParameters = z.union([
  z.strictObject({ serial_number: z.string().regex(/^[0-9a-f]{2}([:-][0-9a-f]{2})*$/) }),
  z.strictObject({ certificate: z.string().startsWith('-----BEGIN CERTIFICATE-----') }),
]);

export class VaultServer implements AsyncDisposable {
  static readonly namespace = dns;
  readonly ca = new SigningCa('Vault double');
  readonly roles = new Map<string, VaultRole>([['wifi', { keyType: 'any' }]]);
  readonly revoked = new Set<string>();
  /** What logs in: `role_id:secret_id`, or `role:jwt`. */
  readonly credentials = new Set<string>();
  leaseSeconds = 3_600;
  tokensRenewable = true;
  tokensMaySign = true;
  /** A sealed Vault answers 503 to everything. */
  sealed = false;
  logins = 0;
  renewals = 0;
  now = () => Date.now();
  readonly server: ScriptedHttpServer;
  readonly #tokens = new Map<string, HeldToken>();
  readonly #stored = new Set<string>();

  private constructor(server: ScriptedHttpServer) {
    this.server = server;
  }

  static async start(): Promise<VaultServer> {
    const server: ScriptedHttpServer = await ScriptedHttpServer.start((request) =>
      vault.#answer(request),
    );
    const vault: VaultServer = new VaultServer(server);
    return vault;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  addToken(value: string, seconds: number): string {
    const expiresAt = seconds === 0 ? Number.POSITIVE_INFINITY : this.now() + seconds * 1_000;
    const { tokensRenewable: renewable, tokensMaySign: canSign } = this;
    this.#tokens.set(value, { renewable, canSign, expiresAt });
    return value;
  }

  revokeTokens(): void {
    this.#tokens.clear();
  }

  #answer(request: ReceivedRequest): ServerAnswer {
    const { path, method, headers } = request;
    if (headers['x-vault-request'] !== 'true') return failed(412, 'missing X-Vault-Request');
    if (path === '/v1/sys/health') {
      if (headers['x-vault-namespace'] !== undefined) return failed(404, 'unsupported path');
      return this.sealed ? { status: 503, body: { sealed: true } } : { status: 200, body: {} };
    }
    if (this.sealed) return failed(503, 'Vault is sealed');
    if (headers['x-vault-namespace'] !== dns) return failed(404, 'no handler for route');
    if (method === 'POST' && headers['content-type'] !== 'application/json') {
      return failed(400, 'not JSON');
    }
    const body = method === 'POST' ? JSON.parse(request.body) : {};
    const [, mount] = /^\/v1\/auth\/([\w-]+)\/login$/.exec(path) ?? [];
    if (mount !== undefined) return this.#logIn(mount, method, body);
    return this.#withToken(String(headers['x-vault-token'] ?? ''), request, body);
  }

  #logIn(mount: string, method: string, body: Record<string, string>): ServerAnswer {
    if (method !== 'POST') return failed(405, 'unsupported operation');
    const given =
      mount === 'approle' ? [body['role_id'], body['secret_id']] : [body['role'], body['jwt']];
    if (!['approle', 'kubernetes', 'jwt'].includes(mount))
      return failed(404, 'no handler for route');
    if (!this.credentials.has(given.join(':'))) {
      return mount === 'approle'
        ? failed(400, `invalid role or secret ID ${given[1]}`)
        : failed(403, 'permission denied');
    }
    this.logins += 1;
    const client_token = this.addToken(`hvs.${randomUUID()}`, this.leaseSeconds);
    const lease_duration = this.leaseSeconds;
    return {
      status: 200,
      body: { auth: { client_token, lease_duration, renewable: this.tokensRenewable } },
    };
  }

  #withToken(value: string, request: ReceivedRequest, body: object): ServerAnswer {
    const token = this.#tokens.get(value);
    if (token === undefined || token.expiresAt <= this.now()) {
      return failed(403, `permission denied (${value})`);
    }
    const call = `${request.method} ${request.path}`;
    const isEndless = token.expiresAt === Number.POSITIVE_INFINITY;
    if (call === 'GET /v1/auth/token/lookup-self') {
      const ttl = isEndless ? 0 : Math.floor((token.expiresAt - this.now()) / 1_000);
      return { status: 200, body: { data: { id: value, ttl, renewable: token.renewable } } };
    }
    if (call === 'POST /v1/auth/token/renew-self') {
      if (!token.renewable) return failed(400, 'lease is not renewable');
      this.renewals += 1;
      token.expiresAt = this.now() + this.leaseSeconds * 1_000;
      const auth = { client_token: value, lease_duration: this.leaseSeconds, renewable: true };
      return { status: 200, body: { auth } };
    }
    if (!token.canSign) return failed(403, 'permission denied');
    if (call === 'POST /v1/pki/revoke') return this.#revoke(body);
    const [, issuer = 'default', mode, role] =
      /^POST \/v1\/pki(?:\/issuer\/([\w-]+))?\/(sign|sign-verbatim)(?:\/([\w.-]+))?$/.exec(call) ??
      [];
    if (mode === undefined || (mode === 'sign' && role === undefined)) {
      return failed(404, 'no handler for route');
    }
    if (!['default', 'devices'].includes(issuer))
      return failed(400, `unable to find PKI issuer for reference: ${issuer}`);
    const known = role === undefined ? {} : this.roles.get(role);
    if (known === undefined) return failed(400, `unknown role: ${role}`);
    return mode === 'sign' ? this.#sign(known, body) : this.#signVerbatim(known, body);
  }

  #sign(role: VaultRole, body: object): ServerAnswer {
    const parsed = signParameters.safeParse(body);
    if (!parsed.success) return failed(400, z.prettifyError(parsed.error));
    const asked = parsed.data;
    const csr = pemToDer(asked.csr);
    const facts = readCertificationRequest(csr);
    const keyType = facts.subjectPublicKeyInfo.length > 200 ? 'rsa' : 'ec';
    const { keyType: only = 'rsa', useCsrSans = true, useCsrCommonName = true } = role;
    if (only !== 'any' && only !== keyType)
      return failed(400, `role requires keys of type ${only}`);
    const inCsr = facts.subject.flat().find(({ type }) => type === '2.5.4.3')?.value;
    const common = (useCsrCommonName ? inCsr : undefined) ?? asked.common_name;
    if (common === undefined) return failed(400, 'the common_name field is required');
    const fromCsr = facts.subjectAltNames as SubjectAltName[];
    const subjectAltNames = useCsrSans ? [...fromCsr] : [];
    if (!useCsrSans) subjectAltNames.push(...alternativesOf(asked));
    else subjectAltNames.push(...otherSansOf(asked.other_sans ?? []));
    if (asked.exclude_cn_from_sans !== true) subjectAltNames.push({ type: 'dns', value: common });
    const bad = subjectAltNames.find(
      ({ type, value }) => type === 'dns' && !isAllowed(role, value),
    );
    if (!isAllowed(role, common))
      return failed(400, `common name ${common} not allowed by this role`);
    if (bad !== undefined) {
      return failed(400, `subject alternate name ${bad.value} not allowed by this role`);
    }
    if (role.allowsUris === false && subjectAltNames.some(({ type }) => type === 'uri')) {
      return failed(
        400,
        'URI Subject Alternative Names are not allowed in this role, but were provided via CSR',
      );
    }
    return this.#issue(role, csr, asked, {
      subject: [[{ type: '2.5.4.3', value: common }]],
      subjectAltNames,
      keyUsages: ['digitalSignature', 'keyEncipherment', 'keyAgreement'] as KeyUsage[],
      extendedKeyUsages: ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'],
    });
  }

  #signVerbatim(role: VaultRole, body: object): ServerAnswer {
    const parsed = verbatimParameters.safeParse(body);
    if (!parsed.success) return failed(400, z.prettifyError(parsed.error));
    return this.#issue(role, pemToDer(parsed.data.csr), parsed.data, {});
  }

  #issue(
    role: VaultRole,
    csr: Buffer,
    asked: { readonly ttl?: string | undefined; readonly not_after?: string | undefined },
    instead: Parameters<SigningCa['sign']>[1],
  ): ServerAnswer {
    if (asked.ttl !== undefined && asked.not_after !== undefined) return failed(400, 'both');
    const most = role.maxTtlSeconds ?? 365 * 86_400;
    const until =
      asked.not_after === undefined ? 0 : (Date.parse(asked.not_after) - Date.now()) / 1_000;
    const seconds = asked.ttl === undefined ? until || 3_600 : Number.parseInt(asked.ttl, 10);
    const warnings =
      seconds > most ? ['TTL is longer than permitted maxTTL; maxTTL is being used'] : null;
    const validityDays = Math.min(seconds, most) / 86_400;
    const certificate = this.ca.sign(csr, { ...instead, validityDays });
    const serial = serialOf(certificate);
    if (role.noStore !== true) this.#stored.add(serial);
    const data = {
      certificate: pemOf(certificate),
      issuing_ca: pemOf(this.ca.issuing),
      ca_chain: [pemOf(this.ca.issuing), pemOf(this.ca.root)],
      serial_number: serial,
      expiration: Math.floor(readCertificate(certificate).notAfter / 1_000),
    };
    return { status: 200, body: { request_id: randomUUID(), data, warnings } };
  }

  #revoke(body: object): ServerAnswer {
    const parsed = revokeParameters.safeParse(body);
    if (!parsed.success) return failed(400, 'Must provide either the certificate or the serial');
    const asked = parsed.data;
    const serial =
      'certificate' in asked ? serialOf(pemToDer(asked.certificate)) : asked.serial_number;
    if ('serial_number' in asked && !this.#stored.has(serial)) {
      return failed(400, `certificate with serial ${serial} not found`);
    }
    this.revoked.add(serial);
    return { status: 200, body: { data: { revocation_time: 1 } } };
  }
}

function alternativesOf(asked: z.output<typeof signParameters>): SubjectAltName[] {
  const names = (asked.alt_names ?? '').split(',').filter((value) => value !== '');
  return [
    ...names.map((value) => ({ type: value.includes('@') ? 'email' : 'dns', value }) as const),
    ...(asked.uri_sans ?? []).map((value) => ({ type: 'uri', value }) as const),
    ...otherSansOf(asked.other_sans ?? []),
  ];
}

function otherSansOf(values: readonly string[]): SubjectAltName[] {
  return values.map((value) => {
    const [, upn] = /^1\.3\.6\.1\.4\.1\.311\.20\.2\.3;UTF-?8:(.+)$/.exec(value) ?? [];
    if (upn === undefined) throw new Error(`This is not <oid>;UTF8:<value>: ${value}`);
    return { type: 'upn', value: upn };
  });
}

function isAllowed({ allowedDomain }: VaultRole, name: string): boolean {
  return allowedDomain === undefined || name.endsWith(`.${allowedDomain}`);
}

function pemToDer(pem: string): Buffer {
  return Buffer.from(decodePem(pem)[0]?.der ?? []);
}

/** Without a final line break, as Vault gives it. */
function pemOf(der: Uint8Array): string {
  return encodePem('CERTIFICATE', der).trimEnd();
}

function serialOf(certificate: Uint8Array): string {
  return (readCertificate(certificate).serialNumber.toLowerCase().match(/../g) ?? []).join(':');
}

function failed(status: number, ...errors: string[]): ServerAnswer {
  return { status, body: { errors } };
}
