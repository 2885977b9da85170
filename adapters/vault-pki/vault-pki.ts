import { z } from 'zod';
import {
  defineAdapter,
  type Issuance,
  type IssueRequest,
} from '../../src/plug-in/certificate-authority.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { connectionOptions, plainHttpOption, refuseUnsafeUrl } from '../shared/connection.ts';
import { issuedPem } from '../shared/issued-pem.ts';
import { type JsonAnswer, type JsonApi, openApi } from '../shared/json-api.ts';
import { authOptions, readCredentials } from './auth.ts';
import { vaultDialect } from './dialect.ts';
import { pathOf } from './path.ts';
import { VaultSession } from './session.ts';
import { signBody } from './sign-request.ts';

/*
 * The PKI secrets engine of HashiCorp Vault and OpenBao. What an administrator has to allow is in
 * docs/authorities/vault-pki.md.
 */

const name = z.string().regex(/^[^/\s](?:.*[^/\s])?$/, 'begins or ends with a slash or a space');

const options = z.strictObject({
  url: z.url({ protocol: /^https?$/ }).describe('Vault’s address, such as https://vault:8200.'),
  namespace: name.optional().describe('The namespace of the PKI mount, such as `team/wifi`.'),
  mount: name.default('pki').describe('Where the PKI secrets engine is mounted.'),
  role: name
    .optional()
    .describe('The role that signs, where the profile has no `template`. Needed for `sign`.'),
  mode: z
    .enum(['sign', 'sign-verbatim'])
    .default('sign')
    .describe(
      '`sign`: the role decides about names and usages, of the subject only the CN survives. `sign-verbatim`: whatever the CSR says; guard the policy well.',
    ),
  issuer: name.optional().describe('Name or id of the issuer, where it is not the role’s own.'),
  names: z
    .enum(['csr', 'request'])
    .default('csr')
    .describe(
      'Where the role takes alternative names from: `request` for a role with use_csr_sans=false, which is then sent them beside the CSR.',
    ),
  validity: z
    .enum(['ttl', 'notAfter', 'role'])
    .default('ttl')
    .describe(
      'How the profile’s validityDays are asked for: as a ttl, as a date, or not at all. Vault cuts off what exceeds its own limits without an error.',
    ),
  auth: authOptions.describe('How to get a token.'),
  ...connectionOptions,
  allowPlainHttp: plainHttpOption,
});

type Options = z.output<typeof options>;

interface Vault {
  readonly options: Options;
  readonly api: JsonApi;
  readonly session: VaultSession;
}

export default defineAdapter({
  kind: 'vault-pki',
  options: options.superRefine((given, context) => {
    const { mode, role, auth } = given;
    if (mode === 'sign' && role === undefined) {
      context.addIssue({ code: 'custom', path: ['role'], message: 'is needed for the mode sign' });
    }
    if (auth.method === 'cert' && given.tls?.certFile === undefined) {
      const message = 'is needed for the method cert';
      context.addIssue({ code: 'custom', path: ['tls', 'certFile'], message });
    }
  }),
  async connect(given, context, signal) {
    signal.throwIfAborted();
    // What is missing shall be seen at the start; it is read again for every login.
    await readCredentials(given.auth, context);
    refuseUnsafeUrl(given.url, given.allowPlainHttp);
    const api = await openApi(given, context, {
      root: `${given.url.replace(/\/+$/, '')}/v1/`,
      dialect: vaultDialect,
      // An agent or proxy may demand it against forged requests of browsers.
      headers: { 'x-vault-request': 'true' },
    });
    const session = new VaultSession(given.auth, given.namespace, api, context);
    const vault = { options: given, api, session };
    return {
      kind: 'vault-pki',
      features: {
        idempotent: false,
        pending: false,
        revoke: true,
        keyTypes: ['rsa', 'ec'],
        mayDrop: given.mode === 'sign' ? ['subject'] : [],
      },
      async check(signal) {
        const path = 'sys/health?standbyok=true&perfstandbyok=true';
        const answer = await api.send({ method: 'GET', path }, signal);
        // 429 and 473: a standby, which hands on what it gets.
        if (![200, 429, 473].includes(answer.status)) {
          throw api.problem(healthMeanings[answer.status] ?? 'Asking for its health', answer);
        }
        await session.check(signal);
      },
      async issue(request, signal) {
        const path = signPath(given, request.wanted.template ?? given.role);
        const body = signBody(request, given, context.clock.now());
        return issuanceOf(vault, request, await post(vault, path, body, signal));
      },
      /** The reason stays with us: Vault takes none. */
      revoke: (certificate, _reason, signal) => revoke(vault, certificate, signal),
      async [Symbol.asyncDispose]() {
        session[Symbol.dispose]();
        await api[Symbol.asyncDispose]();
      },
    };
  },
});

const signAnswer = z.object({
  data: z.object({
    certificate: z.string().min(1),
    issuing_ca: z.string().nullish(),
    ca_chain: z.array(z.string()).nullish(),
  }),
});

function issuanceOf({ api }: Vault, request: IssueRequest, answer: JsonAnswer): Issuance {
  if (answer.status === 400 && answer.own !== undefined) {
    const words = api.words(answer.own);
    if (isAboutRequest(words)) return { kind: 'rejected', reason: words };
  }
  if (answer.status !== 200) throw api.problem('Signing', answer);
  const { data } = api.read(answer, signAnswer, 'Vault’s answer');
  const { certificate, ca_chain, issuing_ca } = data;
  const chain = ca_chain?.length ? ca_chain : [issuing_ca];
  const given = chain.filter((pem) => pem !== '');
  return issuedPem([certificate, ...given], request, 'Vault’s certificates');
}

async function revoke(vault: Vault, certificate: Uint8Array, signal: AbortSignal): Promise<void> {
  const { serialNumber } = readCertificate(certificate);
  const serial = serialNumber.toLowerCase().replace(/..(?=.)/g, '$&:');
  const path = `${pathOf(vault.options.mount)}/revoke`;
  const bySerial = await post(vault, path, { serial_number: serial }, signal);
  if (bySerial.status === 200) return;
  if (bySerial.status !== 400 && bySerial.status !== 404) {
    throw vault.api.problem('Revoking', bySerial);
  }
  // A role with no_store=true leaves no record: then Vault takes the certificate itself.
  const pem = encodePem('CERTIFICATE', certificate);
  const whole = await post(vault, path, { certificate: pem }, signal);
  if (whole.status !== 200) throw vault.api.problem('Revoking', whole);
}

function post({ session, options }: Vault, path: string, body: object, signal: AbortSignal) {
  const { namespace } = options;
  return session.send({ method: 'POST', path, body, namespace }, signal);
}

/** /:mount[/issuer/:ref]/sign/:role and /:mount[/issuer/:ref]/sign-verbatim[/:role] */
function signPath({ mount, issuer, mode }: Options, role: string | undefined): string {
  const issuerPath = issuer === undefined ? '' : `/issuer/${encodeURIComponent(issuer)}`;
  const rolePath = role === undefined ? '' : `/${encodeURIComponent(role)}`;
  return `${pathOf(mount)}${issuerPath}/${mode}${rolePath}`;
}

/** Vault API, /sys/health. */
const healthMeanings: Readonly<Record<number, string>> = {
  472: 'This is a disaster recovery secondary',
  474: 'The active node cannot be reached',
  501: 'Vault is not initialized',
  503: 'Vault is sealed',
  530: 'This node was removed from its cluster',
};

/**
 * Whether a 400 speaks of this one request: a name, or a key, that the role does not allow. Everything else (an
 * unknown role, one that allows no URI at all, an issuer that expires too soon) would meet every request of
 * the profile, and an administrator mends it.
 */
function isAboutRequest(words: string): boolean {
  return aboutRequest.some((pattern) => pattern.test(words));
}

const aboutRequest: readonly RegExp[] = [
  /(common name|alternate name|email address|serial_number|user_id) .* not allowed by this role/i,
  /other SAN .* not allowed for OID/i,
  /URI Subject Alternative Names? .* not valid/i,
  /role requires keys of type|a minimum of a \d+-bit key/i,
  /certificate request could not be parsed|could not parse CSR/i,
];
