import { z } from 'zod';
import { readCertificate } from '../../../src/x509/certificate.ts';
import { decodePem, encodePem } from '../../../src/x509/pem.ts';
import { SigningCa } from '../../support/signing-ca.ts';
import {
  type ReceivedRequest,
  ScriptedHttpServer,
  type ServerAnswer,
} from './scripted-http-server.ts';

/*
 * EJBCA's REST API as its OpenAPI document (“EJBCA REST Interface”, v1/certificate and v1/ca) describes what
 * the adapter uses: pkcs10enroll, {request_id}/finalize, search, {issuer_dn}/{serial}/revoke, status,
 * ca/{subject_dn}/certificate/download; and beside it a token endpoint (RFC 6749 4.4, 5). Unknown properties
 * are refused, so that a misspelt one cannot pass.
 */

const root = '/ejbca/ejbca-rest-api/v1/';
const issuerDn = 'CN=EJBCA double Issuing,O=EJBCA double';

const enrolment = z.strictObject({
  certificate_request: z.string().startsWith('-----BEGIN CERTIFICATE REQUEST-----'),
  certificate_profile_name: z.string(),
  end_entity_profile_name: z.string(),
  certificate_authority_name: z.string(),
  username: z.string().min(1),
  password: z.string().min(1),
  include_chain: z.boolean(),
  response_format: z.literal('DER'),
});
const finalizing = z.strictObject({ password: z.string(), response_format: z.literal('DER') });
const searching = z.strictObject({
  max_number_of_results: z.number().int().positive(),
  criteria: z.tuple([
    z.strictObject({
      property: z.literal('QUERY'),
      value: z.string(),
      operation: z.literal('EQUAL'),
    }),
    z.strictObject({
      property: z.literal('STATUS'),
      value: z.literal('CERT_ACTIVE'),
      operation: z.literal('EQUAL'),
    }),
  ]),
});

interface Waiting {
  readonly username: string;
  readonly password: string;
  readonly csr: Buffer;
  decision: 'waiting' | 'approved' | 'rejected';
}

export class EjbcaServer implements AsyncDisposable {
  readonly ca = new SigningCa('EJBCA double');
  readonly certificateProfiles = new Set(['Wi-Fi']);
  /** `approve` or `refuse`: the next order waits, and that is its end. */
  readonly approvals: ('approve' | 'refuse')[] = [];
  /** Names that the end entity profile refuses. */
  refusesNames = false;
  /** An old version does not tell under which id an order waits. */
  tellsApprovalId = true;
  /** Some versions encode the certificates of a search twice. */
  encodesTwice = false;
  /** The provider's. */
  readonly clients = new Map<string, string>();
  readonly tokens = new Set<string>();
  readonly issued: { readonly username: string; readonly certificate: Uint8Array }[] = [];
  readonly revoked = new Map<string, string>();
  readonly server: ScriptedHttpServer;
  readonly #waiting = new Map<string, Waiting>();

  private constructor(server: ScriptedHttpServer) {
    this.server = server;
  }

  static async start(): Promise<EjbcaServer> {
    const server: ScriptedHttpServer = await ScriptedHttpServer.start((request) =>
      ejbca.#answer(request),
    );
    const ejbca: EjbcaServer = new EjbcaServer(server);
    return ejbca;
  }

  get url(): string {
    return `${this.server.origin}/ejbca/ejbca-rest-api`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  #answer(request: ReceivedRequest): ServerAnswer {
    if (request.path === '/oauth/token') return this.#token(request);
    const { authorization = '' } = request.headers;
    if (!authorization.startsWith('Bearer ') || !this.tokens.has(authorization.slice(7))) {
      return failed(401, `Not authenticated: ${authorization}`);
    }
    if (!request.path.startsWith(root)) return { status: 404, body: '<html>Not Found</html>' };
    const isJson = request.headers['content-type'] === 'application/json';
    if (request.method === 'POST' && !isJson) return failed(415, 'Unsupported media type');
    const body: unknown = request.method === 'POST' ? JSON.parse(request.body) : undefined;
    return this.#route(request, request.path.slice(root.length), body);
  }

  #route({ method, query }: ReceivedRequest, path: string, body: unknown): ServerAnswer {
    const [, approval] = /^certificate\/(-?\d+)\/finalize$/.exec(path) ?? [];
    const [, dn = '', serial] = /^certificate\/([^/]+)\/([0-9A-Fa-f]+)\/revoke$/.exec(path) ?? [];
    const [, caDn] = /^ca\/([^/]+)\/certificate\/download$/.exec(path) ?? [];
    if (method === 'GET' && path === 'certificate/status') {
      return { status: 200, body: { status: 'OK', version: '1.0', revision: 'double' } };
    }
    if (method === 'GET' && caDn !== undefined) return this.#chain(decodeURIComponent(caDn));
    if (method === 'PUT' && serial !== undefined) {
      return this.#revoke(decodeURIComponent(dn), serial, query.get('reason') ?? '');
    }
    if (method !== 'POST') return failed(405, 'Method not allowed');
    if (path === 'certificate/pkcs10enroll') return this.#enrol(body);
    if (path === 'certificate/search') return this.#search(body);
    return approval === undefined ? failed(404, 'Not found') : this.#finalize(approval, body);
  }

  #enrol(body: unknown): ServerAnswer {
    const parsed = enrolment.safeParse(body);
    if (!parsed.success) return failed(400, `Malformed: ${z.prettifyError(parsed.error)}`);
    const asked = parsed.data;
    if (asked.certificate_authority_name !== 'Wi-Fi CA') {
      return failed(404, `CA with name ${asked.certificate_authority_name} does not exist`);
    }
    if (!this.certificateProfiles.has(asked.certificate_profile_name)) {
      return failed(404, `Certificate profile ${asked.certificate_profile_name} does not exist`);
    }
    if (this.refusesNames) {
      return failed(400, 'Wrong number of COMMONNAME fields in Subject DN.');
    }
    const csr = Buffer.from(decodePem(asked.certificate_request)[0]?.der ?? []);
    const { username, password } = asked;
    const outcome = this.approvals.shift();
    if (outcome === undefined) return this.#issue(username, csr, asked.include_chain);
    const id = String(1_000 + this.#waiting.size);
    const decision = outcome === 'approve' ? 'approved' : 'rejected';
    this.#waiting.set(id, { username, password, csr, decision });
    const info_message = 'Request is waiting for approval.';
    return {
      status: 202,
      body: {
        status_code: 202,
        info_message,
        ...(this.tellsApprovalId ? { request_id: Number(id) } : {}),
      },
    };
  }

  #finalize(id: string, body: unknown): ServerAnswer {
    const parsed = finalizing.safeParse(body);
    const waiting = this.#waiting.get(id);
    if (!parsed.success) return failed(400, `Malformed: ${z.prettifyError(parsed.error)}`);
    if (waiting === undefined) return failed(404, `No request with id ${id}`);
    if (parsed.data.password !== waiting.password) return failed(400, 'Wrong password');
    if (waiting.decision === 'waiting') {
      return { status: 202, body: { status_code: 202, info_message: 'Still waiting.' } };
    }
    if (waiting.decision === 'rejected') {
      return failed(400, `Request ${id} has been rejected (${waiting.password})`);
    }
    this.#waiting.delete(id);
    return this.#issue(waiting.username, waiting.csr, false);
  }

  #issue(username: string, csr: Buffer, withChain: boolean): ServerAnswer {
    const certificate = this.ca.sign(csr);
    this.issued.push({ username, certificate });
    const { serialNumber: serial_number } = readCertificate(certificate);
    const chain = withChain
      ? { certificate_chain: [this.ca.issuing, this.ca.root].map(base64) }
      : {};
    const body = {
      certificate: base64(certificate),
      serial_number,
      response_format: 'DER',
      ...chain,
    };
    return { status: 201, body };
  }

  #search(body: unknown): ServerAnswer {
    const parsed = searching.safeParse(body);
    if (!parsed.success) return failed(400, `Malformed: ${z.prettifyError(parsed.error)}`);
    const { value } = parsed.data.criteria[0];
    const certificates = this.issued
      .filter(({ username, certificate }) => username === value && !this.#isRevoked(certificate))
      .map(({ certificate }) => {
        const once = base64(certificate);
        const text = this.encodesTwice ? base64(Buffer.from(once)) : once;
        return { certificate: text, serial_number: readCertificate(certificate).serialNumber };
      });
    return { status: 200, body: { certificates, more_results: false } };
  }

  #revoke(dn: string, serial: string, reason: string): ServerAnswer {
    const known = this.issued.some(
      ({ certificate }) => readCertificate(certificate).serialNumber === serial.toUpperCase(),
    );
    if (dn !== issuerDn || !known) return failed(404, `No certificate ${serial} of ${dn}`);
    const reasons = ['UNSPECIFIED', 'KEY_COMPROMISE', 'SUPERSEDED', 'CESSATION_OF_OPERATION'];
    if (!reasons.includes(reason)) return failed(400, 'Invalid revocation reason.');
    if (this.revoked.has(serial)) return failed(409, 'Certificate already revoked');
    this.revoked.set(serial, reason);
    return { status: 200, body: { issuer_dn: dn, serial_number: serial, revoked: true } };
  }

  #isRevoked(certificate: Uint8Array): boolean {
    return this.revoked.has(readCertificate(certificate).serialNumber);
  }

  #chain(dn: string): ServerAnswer {
    if (dn !== issuerDn) return failed(404, `CA ${dn} does not exist`);
    const pems = [this.ca.issuing, this.ca.root].map((der) => encodePem('CERTIFICATE', der));
    return {
      status: 200,
      headers: { 'content-type': 'application/octet-stream' },
      body: pems.join(''),
    };
  }

  #token({ method, headers, body }: ReceivedRequest): ServerAnswer {
    const form = new URLSearchParams(body);
    const [scheme, pair = ''] = (headers.authorization ?? '').split(' ');
    const [id = '', secret = ''] = Buffer.from(pair, 'base64')
      .toString()
      .split(':')
      .map(decodeForm);
    const isForm = headers['content-type'] === 'application/x-www-form-urlencoded';
    if (method !== 'POST' || !isForm || form.get('grant_type') !== 'client_credentials') {
      return { status: 400, body: { error: 'unsupported_grant_type' } };
    }
    if (scheme !== 'Basic' || this.clients.get(id) !== secret) {
      return { status: 401, body: { error: 'invalid_client', error_description: secret } };
    }
    const access_token = `token-${this.tokens.size + 1}-of-${id}`;
    this.tokens.add(access_token);
    return { status: 200, body: { access_token, token_type: 'Bearer', expires_in: 600 } };
  }
}

function decodeForm(text: string): string {
  return new URLSearchParams(`x=${text}`).get('x') ?? '';
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

function failed(status: number, error_message: string): ServerAnswer {
  return { status, body: { error_code: status, error_message } };
}
