import { createHmac, X509Certificate } from 'node:crypto';
import { z } from 'zod';
import { readCertificationRequest } from '../../../src/request/read-certification-request.ts';
import type { RequestedCertificate } from '../../../src/request/requested-certificate.ts';
import { derOf, type Received, type Reply, SigningServer } from './signing-server.ts';

/*
 * cfssl as its own documents describe it: doc/api/intro.txt (envelope), endpoint_sign.txt, endpoint_authsign.txt,
 * endpoint_info.txt, endpoint_revoke.txt, doc/authentication.txt (tokens), errors/doc.go (codes). As version
 * 1.2.0 does, it drops URI names and otherNames, and takes its default profile for any it does not know.
 */

const signRequest = z.strictObject({
  certificate_request: z.string(),
  profile: z.string().optional(),
  label: z.string().optional(),
  hosts: z.array(z.string()).optional(),
  subject: z.object({ CN: z.string().optional() }).optional(),
});
const authRequest = z.strictObject({ token: z.base64(), request: z.base64() });
const revokeRequest = z.strictObject({
  serial: z.string().regex(/^\d+$/),
  authority_key_id: z.string().regex(/^[0-9a-f]*$/),
  reason: z.enum(['unspecified', 'keycompromise', 'superseded', 'cessationofoperation']),
});
const infoRequest = z.strictObject({ label: z.string(), profile: z.string().optional() });

interface Profile {
  readonly usages: readonly string[];
  readonly hours: number;
  readonly authKey?: string;
}

export const authKey = '00112233445566778899AABBCCDDEEFF';

const profiles: Readonly<Record<string, Profile>> = {
  default: { usages: ['signing', 'server auth'], hours: 8760 },
  open: { usages: ['signing', 'client auth'], hours: 720 },
  locked: { usages: ['signing', 'client auth'], hours: 720, authKey },
};

class Refusal extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

export async function startCfsslDouble(): Promise<SigningServer> {
  const issued = new Set<string>();
  const server: SigningServer = await SigningServer.start((received) =>
    answer(received, server, issued),
  );
  return server;
}

async function answer(
  received: Received,
  server: SigningServer,
  issued: Set<string>,
): Promise<Reply> {
  if (received.method !== 'POST') return { status: 405 };
  const read = <Schema extends z.ZodType>(schema: Schema, text = received.body) => {
    const result = schema.safeParse(JSON.parse(text.toString('utf8')));
    if (!result.success) throw new Refusal(5300, result.error.message);
    return result.data;
  };
  try {
    switch (received.path) {
      case '/api/v1/cfssl/info':
        return success(await info(read(infoRequest).profile, server));
      case '/api/v1/cfssl/sign': {
        const order = read(signRequest);
        if (profileOf(order.profile).authKey !== undefined) {
          throw new Refusal(400, 'authentication required');
        }
        return success(await sign(order, server, issued));
      }
      case '/api/v1/cfssl/authsign': {
        const { token, request } = read(authRequest);
        const bytes = Buffer.from(request, 'base64');
        const order = read(signRequest, bytes);
        const key = Buffer.from(profileOf(order.profile).authKey ?? '', 'hex');
        const right = createHmac('sha256', key).update(bytes).digest('base64');
        if (token !== right) throw new Refusal(400, 'invalid token');
        return success(await sign(order, server, issued));
      }
      case '/api/v1/cfssl/revoke': {
        const { serial, authority_key_id } = read(revokeRequest);
        if (!issued.has(`${serial}/${authority_key_id}`)) {
          throw new Refusal(11200, 'certificate not found');
        }
        return success({});
      }
      default:
        return { status: 404 };
    }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const errors = [{ code: error.code, message: error.message }];
    return { status: 400, body: { success: false, result: null, errors, messages: [] } };
  }
}

function success(result: object): Reply {
  return { status: 200, body: { success: true, result, errors: [], messages: [] } };
}

function profileOf(name = 'default'): Profile {
  const profile = profiles[name] ?? profiles['default'];
  if (profile === undefined) throw new Error('There is no default profile.');
  return profile;
}

async function info(name: string | undefined, server: SigningServer) {
  const { usages, hours } = profileOf(name);
  return { certificate: await server.issuing(), usages, expiry: `${hours}h` };
}

async function sign(
  order: z.output<typeof signRequest>,
  server: SigningServer,
  issued: Set<string>,
) {
  const { usages, hours } = profileOf(order.profile);
  let csr: Uint8Array;
  try {
    csr = derOf(order.certificate_request, 'CERTIFICATE REQUEST');
  } catch {
    throw new Refusal(9002, 'CSR Decode failed');
  }
  const facts = readCertificationRequest(csr);
  const asked =
    order.hosts?.map((value) => ({ type: typeOf(value), value })) ?? facts.subjectAltNames;
  const wanted: RequestedCertificate = {
    subject: facts.subject,
    subjectAltNames: asked.flatMap(({ type, value }) =>
      type === 'dns' || type === 'email' ? [{ type, value }] : [],
    ),
    keyUsages: usages.includes('signing') ? ['digitalSignature'] : [],
    extendedKeyUsages: usages.flatMap((usage) => eku[usage] ?? []),
    validityDays: hours / 24,
  };
  const [certificate = ''] = await server.sign(csr, wanted);
  const read = new X509Certificate(certificate);
  const key = new X509Certificate(await server.issuing());
  issued.add(`${BigInt(`0x${read.serialNumber}`)}/${subjectKeyId(key)}`);
  return { certificate };
}

const eku: Readonly<Record<string, string>> = {
  'client auth': '1.3.6.1.5.5.7.3.2',
  'server auth': '1.3.6.1.5.5.7.3.1',
};

function typeOf(host: string): 'dns' | 'email' | 'other' {
  if (host.includes('@')) return 'email';
  return host.includes(':') ? 'other' : 'dns';
}

/** The content of subjectKeyIdentifier: 2.5.29.14, an OCTET STRING in an OCTET STRING, both short. */
function subjectKeyId({ raw }: X509Certificate): string {
  const oid = Buffer.from('0603551d0e', 'hex');
  const value = raw.indexOf(oid) + oid.length;
  const length = raw.readUInt8(value + 3);
  return raw.subarray(value + 4, value + 4 + length).toString('hex');
}
