import { CompactEncrypt, exportJWK, generateKeyPair, jwtVerify } from 'jose';
import { z } from 'zod';
import { readCertificationRequest } from '../../../src/request/read-certification-request.ts';
import type { SubjectAltName } from '../../../src/x509/alt-name-form.ts';
import { derOf, type Received, type Reply, SigningServer } from './signing-server.ts';

/*
 * step-ca as smallstep/certificates documents it: docs/provisioners.md and authority/provisioner/jwk.go (one-time
 * tokens: claims, names that must match), api/sign.go and api/revoke.go (bodies, statuses), authority/tls.go
 * (validity, "already revoked"), api/errors.go (the shape of errors), and its default leaf template: common
 * name and names from the token, server and client authentication, nothing else of the CSR's subject.
 */

const signRequest = z.strictObject({
  csr: z.string(),
  ott: z.string(),
  notAfter: z.string().optional(),
  templateData: z.unknown().optional(),
});
const revokeRequest = z.strictObject({
  serial: z.string().regex(/^\d+$/),
  ott: z.string(),
  reasonCode: z.int().min(0).max(10),
  reason: z.string(),
  passive: z.boolean(),
});
const claims = z.object({
  sub: z.string().min(1),
  sans: z.array(z.string()).optional(),
  jti: z.string(),
  iat: z.number(),
  nbf: z.number(),
  exp: z.number(),
});

class Refusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export const provisioner = 'chromebooks';
export const keyPassword = 'open sesame, provisioner';

interface Double {
  readonly server: SigningServer;
  /** The provisioner's private key as JSON, and the same as an encrypted JWE. */
  readonly key: string;
  readonly encryptedKey: string;
  /** The claims of every token that was accepted. */
  readonly accepted: z.output<typeof claims>[];
}

const mostHours = 24 * 400;

export async function startStepCaDouble(): Promise<Double> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const key = JSON.stringify({ ...(await exportJWK(privateKey)), kid: 'the-key', alg: 'ES256' });
  const encryptedKey = await new CompactEncrypt(new TextEncoder().encode(key))
    .setProtectedHeader({ alg: 'PBES2-HS256+A128KW', enc: 'A128GCM', cty: 'jwk+json' })
    .setKeyManagementParameters({ p2c: 2_000, p2s: new Uint8Array(16) })
    .encrypt(new TextEncoder().encode(keyPassword));
  const accepted: z.output<typeof claims>[] = [];
  const revoked = new Set<string>();

  async function verified(ott: string, path: string) {
    try {
      const { payload, protectedHeader } = await jwtVerify(ott, publicKey, {
        issuer: provisioner,
        audience: `${server.url}${path}`,
      });
      const read = claims.parse(payload);
      if (protectedHeader.kid !== 'the-key') throw new Error('kid');
      if (accepted.some(({ jti }) => jti === read.jti)) throw new Error('used');
      accepted.push(read);
      return read;
    } catch {
      throw new Refusal(401, 'The request lacked necessary authorization to be completed.');
    }
  }

  async function handle({ method, path, body }: Received): Promise<Reply> {
    const read = <Schema extends z.ZodType>(schema: Schema) => {
      const result = schema.safeParse(JSON.parse(body.toString('utf8')));
      if (!result.success) throw new Refusal(400, result.error.message);
      return result.data;
    };
    switch (`${method} ${path}`) {
      case 'GET /health':
        return { status: 200, body: { status: 'ok' } };
      case 'POST /1.0/sign': {
        const order = read(signRequest);
        const token = await verified(order.ott, path);
        return { status: 201, body: await sign(server, order, token) };
      }
      case 'POST /1.0/revoke': {
        const { serial, ott, passive } = read(revokeRequest);
        const { sub } = await verified(ott, path);
        if (!passive) throw new Refusal(501, 'non-passive revocation not implemented');
        if (sub !== serial) throw new Refusal(401, 'token subject is not the serial number');
        if (revoked.has(serial)) {
          throw new Refusal(400, `certificate with serial number '${serial}' is already revoked`);
        }
        revoked.add(serial);
        return { status: 200, body: { status: 'ok' } };
      }
      default:
        throw new Refusal(404, 'not found');
    }
  }

  const server: SigningServer = await SigningServer.start(async (received) => {
    try {
      return await handle(received);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { status, message } = error;
      return { status, body: { status, message } };
    }
  });
  return { server, key, encryptedKey, accepted };
}

async function sign(
  server: SigningServer,
  { csr: pem, notAfter = '24h' }: z.output<typeof signRequest>,
  { sub, sans = [sub] }: z.output<typeof claims>,
) {
  const hours = Number(/^(\d+)h$/.exec(notAfter)?.[1]);
  if (!(hours <= mostHours)) {
    throw new Refusal(403, `requested duration of ${notAfter} is more than the authorized maximum`);
  }
  const csr = derOf(pem, 'CERTIFICATE REQUEST');
  const facts = readCertificationRequest(csr);
  const commonName = facts.subject.flat().find(({ type }) => type === '2.5.4.3')?.value ?? '';
  if (commonName !== '' && commonName !== sub) {
    throw new Refusal(403, `certificate request does not contain the valid common name`);
  }
  const subjectAltNames = sans.map((value): SubjectAltName => ({ type: typeOf(value), value }));
  for (const type of ['dns', 'email', 'uri'] as const) {
    const got = facts.subjectAltNames
      .filter((name) => name.type === type)
      .map(({ value }) => value);
    const want = subjectAltNames.filter((name) => name.type === type).map(({ value }) => value);
    if (got.length > 0 && got.toSorted().join() !== want.toSorted().join()) {
      throw new Refusal(403, `certificate request does not contain the valid ${type} names`);
    }
  }
  const [crt, ca] = await server.sign(csr, {
    subject: [[{ type: '2.5.4.3', value: sub }]],
    subjectAltNames,
    keyUsages: ['digitalSignature'],
    extendedKeyUsages: ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'],
    validityDays: hours / 24,
  });
  return { crt, ca, certChain: [crt, ca], tlsOptions: {} };
}

/** As smallstep's x509util sorts names that have no type: a URI has a scheme, an e-mail address an @. */
function typeOf(value: string): 'dns' | 'email' | 'uri' {
  if (/^[a-z][a-z0-9+.-]*:/i.test(value)) return 'uri';
  return value.includes('@') ? 'email' : 'dns';
}
