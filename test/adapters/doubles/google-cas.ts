import { readCertificate } from '../../../src/x509/certificate.ts';
import { encodePem } from '../../../src/x509/pem.ts';
import { type Answer, CloudServer, json, type SeenRequest } from './cloud-server.ts';
import { CloudSigner } from './cloud-signer.ts';

/*
 * A double of Google's Certificate Authority Service. It follows the discovery document privateca.googleapis.com v1:
 * projects.locations.caPools.certificates.{create,get,list,revoke}, projects.locations.caPools.testIamPermissions, the
 * schemas Certificate, RevokeCertificateRequest and TestIamPermissionsRequest; errors as google.rpc.Status (AIP-193),
 * ids and request ids as AIP-133 and AIP-155 say. Parameters and members that the document does not know are refused.
 */

interface Resource {
  readonly name: string;
  readonly pemCsr: string;
  readonly lifetime: string;
  readonly pemCertificate: string;
  readonly pemCertificateChain: readonly string[];
  readonly issuerCertificateAuthority: string;
  readonly certificateDescription: { subjectDescription: { hexSerialNumber: string } };
  revocationDetails?: { revocationState: string; revocationTime: string };
}

const pool = 'projects/school/locations/europe-west3/caPools/devices';
export const token = 'ya29.token-of-the-double';

export class GoogleCasDouble implements AsyncDisposable {
  readonly pool = pool;
  readonly signer: CloudSigner;
  readonly certificates = new Map<string, Resource>();
  /** Whether a token is asked for. */
  closed = true;
  permissions = ['privateca.certificates.create', 'privateca.certificates.get'];
  /** Requests of the last hour; cleared, they count as forgotten. */
  readonly requests = new Map<string, Promise<Answer>>();
  #server: CloudServer | undefined;

  private constructor(signer: CloudSigner) {
    this.signer = signer;
  }

  static async start(): Promise<GoogleCasDouble> {
    const double = new GoogleCasDouble(await CloudSigner.create());
    double.#server = await CloudServer.start((request) => double.#serve(request));
    double.#server.counts = ({ method, url }) =>
      method === 'POST' && url.pathname.endsWith('/certificates');
    return double;
  }

  get server(): CloudServer {
    return this.#server!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await this.signer[Symbol.asyncDispose]();
  }

  async #serve(request: SeenRequest): Promise<Answer> {
    const { method, url, headers, body } = request;
    // The security token service of a workload-identity file (RFC 8693 2.1).
    if (url.pathname === '/sts') {
      return json(200, {
        access_token: token,
        issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        token_type: 'Bearer',
        expires_in: 3600,
      });
    }
    if (this.closed && headers.authorization !== `Bearer ${token}`) {
      return status(401, 'UNAUTHENTICATED', 'Request had invalid authentication credentials.');
    }
    const path = decodeURIComponent(url.pathname);
    if (!path.startsWith(`/v1/${pool}`)) return status(404, 'NOT_FOUND', 'The pool was not found.');
    const rest = path.slice(`/v1/${pool}`.length);
    if (method === 'POST' && headers['content-type'] !== 'application/json') {
      return status(400, 'INVALID_ARGUMENT', 'The body is not application/json.');
    }
    const given = body === '' ? {} : (JSON.parse(body) as Record<string, unknown>);
    if (method === 'POST' && rest === '/certificates') return this.#create(url, given);
    if (method === 'POST' && rest === ':testIamPermissions') return this.#test(given);
    if (method === 'GET' && rest === '/certificates') return this.#list(url);
    const name = /^\/certificates\/([A-Za-z0-9_-]{1,63})(:revoke)?$/.exec(rest);
    const found = this.certificates.get(`${pool}/certificates/${name?.[1]}`);
    if (name === null || found === undefined) {
      return status(404, 'NOT_FOUND', 'The certificate was not found.');
    }
    if (method === 'GET' && name[2] === undefined) return json(200, found);
    if (method === 'POST' && name[2] === ':revoke') return this.#revoke(found, given);
    return status(404, 'NOT_FOUND', 'There is no such method.');
  }

  async #create(url: URL, given: Record<string, unknown>): Promise<Answer> {
    const unknown = [
      ...[...url.searchParams.keys()].filter((key) => !createParameters.includes(key)),
      ...Object.keys(given).filter((key) => !certificateMembers.includes(key)),
    ];
    if (unknown.length > 0) return invalid(`Unknown name "${unknown[0]}".`, String(unknown[0]));
    const requestId = url.searchParams.get('requestId') ?? '';
    if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(requestId)) {
      return invalid('The request_id is not a UUID.', 'request_id');
    }
    const earlier = this.requests.get(requestId);
    if (earlier !== undefined) return earlier;
    const answer = this.#createOnce(url, given);
    this.requests.set(requestId, answer);
    return answer;
  }

  async #createOnce(url: URL, given: Record<string, unknown>): Promise<Answer> {
    const id = url.searchParams.get('certificateId') ?? '';
    if (!/^[A-Za-z0-9_-]{1,63}$/.test(id)) return invalid('certificate_id is required.', 'id');
    const name = `${pool}/certificates/${id}`;
    if (this.certificates.has(name)) {
      return status(409, 'ALREADY_EXISTS', `Resource '${name}' already exists.`);
    }
    const { pemCsr, lifetime } = given;
    const seconds = /^(\d+)s$/.exec(String(lifetime))?.[1];
    if (seconds === undefined) return invalid('lifetime is not a Duration.', 'lifetime');
    try {
      const csr = this.signer.readPem(String(pemCsr));
      const { certificate, chain } = await this.signer.sign(csr, {
        validityDays: Number(seconds) / 86_400,
      });
      const { serialNumber } = readCertificate(certificate);
      const resource: Resource = {
        name,
        pemCsr: String(pemCsr),
        lifetime: String(lifetime),
        issuerCertificateAuthority: `${pool}/certificateAuthorities/one`,
        pemCertificate: encodePem('CERTIFICATE', certificate),
        pemCertificateChain: chain.map((der) => encodePem('CERTIFICATE', der)),
        certificateDescription: {
          subjectDescription: { hexSerialNumber: serialNumber.toLowerCase() },
        },
      };
      this.certificates.set(name, resource);
      return json(200, resource);
    } catch (error) {
      return invalid(`The CSR is not valid: ${String(error)}`, 'certificate.pem_csr');
    }
  }

  #test({ permissions }: Record<string, unknown>): Answer {
    const asked = permissions as string[];
    return json(200, { permissions: asked.filter((one) => this.permissions.includes(one)) });
  }

  #list(url: URL): Answer {
    const filter = url.searchParams.get('filter') ?? '';
    const serial =
      /^certificate_description\.subject_description\.hex_serial_number:([0-9a-f]+)$/.exec(filter);
    if (serial === null) return invalid('The filter is not understood.', 'filter');
    const found = [...this.certificates.values()].filter(
      ({ certificateDescription: { subjectDescription } }) =>
        subjectDescription.hexSerialNumber === serial[1],
    );
    return json(200, found.length === 0 ? {} : { certificates: found });
  }

  #revoke(resource: Resource, { reason }: Record<string, unknown>): Answer {
    if (!revocationReasons.includes(String(reason))) return invalid('reason', 'reason');
    if (resource.revocationDetails !== undefined) {
      return status(400, 'FAILED_PRECONDITION', 'The certificate was revoked before.');
    }
    resource.revocationDetails = {
      revocationState: String(reason),
      revocationTime: new Date().toISOString(),
    };
    return json(200, resource);
  }
}

const createParameters = [
  'certificateId',
  'requestId',
  'issuingCertificateAuthorityId',
  'validateOnly',
];
const certificateMembers = [
  'pemCsr',
  'config',
  'lifetime',
  'certificateTemplate',
  'labels',
  'subjectMode',
  'requestedNotBeforeTime',
];
const revocationReasons = [
  'REVOCATION_REASON_UNSPECIFIED',
  'KEY_COMPROMISE',
  'CERTIFICATE_AUTHORITY_COMPROMISE',
  'AFFILIATION_CHANGED',
  'SUPERSEDED',
  'CESSATION_OF_OPERATION',
  'CERTIFICATE_HOLD',
  'PRIVILEGE_WITHDRAWN',
  'ATTRIBUTE_AUTHORITY_COMPROMISE',
];

/** google.rpc.Status as JSON. */
export function status(
  code: number,
  reason: string,
  message: string,
  headers: Record<string, string> = {},
): Answer {
  return json(code, { error: { code, message, status: reason } }, headers);
}

function invalid(message: string, field: string): Answer {
  const detail = {
    '@type': 'type.googleapis.com/google.rpc.BadRequest',
    fieldViolations: [{ field, description: message }],
  };
  const error = { code: 400, message, status: 'INVALID_ARGUMENT', details: [detail] };
  return json(400, { error });
}
