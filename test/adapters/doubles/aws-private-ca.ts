import { randomBytes } from 'node:crypto';
import { readCertificate } from '../../../src/x509/certificate.ts';
import { encodePem } from '../../../src/x509/pem.ts';
import { type Answer, CloudServer, json, type SeenRequest } from './cloud-server.ts';
import { CloudSigner, type Signed } from './cloud-signer.ts';

/*
 * A double of AWS Private CA: JSON 1.1 as in the service's API reference and the SDK's model (acm-pca 2017-08-22),
 * actions IssueCertificate, GetCertificate, DescribeCertificateAuthority and RevokeCertificate; templates as in the user
 * guide ("Understanding certificate templates"). Of Signature Version 4 only the presence and the scope are checked.
 * IdempotencyTokens are kept until `tokens` is cleared, which stands for the five minutes.
 */

interface Order {
  readonly signed: Signed;
  readonly serial: string;
  revoked: boolean;
}

export const caArn =
  'arn:aws:acm-pca:eu-central-1:123456789012:certificate-authority/11111111-2222-3333-4444-555555555555';

export class AwsPrivateCaDouble implements AsyncDisposable {
  readonly signer: CloudSigner;
  readonly orders = new Map<string, Order>();
  readonly tokens = new Map<string, string>();
  status = 'ACTIVE';
  /** How often GetCertificate says that it is not ready, and whether it then fails for good. */
  inProgress = 0;
  requestFails = false;
  #server: CloudServer | undefined;

  private constructor(signer: CloudSigner) {
    this.signer = signer;
  }

  static async start(): Promise<AwsPrivateCaDouble> {
    const double = new AwsPrivateCaDouble(await CloudSigner.create());
    double.#server = await CloudServer.start((request) => double.#serve(request));
    double.#server.counts = (request) => actionOf(request) === 'IssueCertificate';
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
    if (method !== 'POST' || url.pathname !== '/') return problem('UnknownOperationException', '');
    if (headers['content-type'] !== 'application/x-amz-json-1.1') {
      return problem('SerializationException', 'The content type is not JSON 1.1.');
    }
    const scope =
      /^AWS4-HMAC-SHA256 Credential=[A-Z0-9]+\/\d{8}\/eu-central-1\/acm-pca\/aws4_request, SignedHeaders=[a-z0-9;-]+, Signature=[0-9a-f]{64}$/;
    if (!scope.test(headers.authorization ?? '')) {
      return problem('MissingAuthenticationTokenException', 'The request is not signed.');
    }
    const given = JSON.parse(body) as Record<string, unknown>;
    if (given['CertificateAuthorityArn'] !== caArn) {
      return problem('ResourceNotFoundException', 'There is no such CA.');
    }
    switch (actionOf(request)) {
      case 'IssueCertificate':
        return this.#issue(given);
      case 'GetCertificate':
        return this.#get(given);
      case 'DescribeCertificateAuthority':
        return json(200, {
          CertificateAuthority: {
            Arn: caArn,
            Status: this.status,
            CertificateAuthorityConfiguration: {
              KeyAlgorithm: 'EC_prime256v1',
              SigningAlgorithm: 'SHA256WITHECDSA',
              Subject: { CommonName: 'Double' },
            },
          },
        });
      case 'RevokeCertificate':
        return this.#revoke(given);
      default:
        return problem('UnknownOperationException', 'There is no such action.');
    }
  }

  async #issue(given: Record<string, unknown>): Promise<Answer> {
    const unknown = Object.keys(given).find((key) => !issueMembers.includes(key));
    if (unknown !== undefined) return problem('SerializationException', `Unknown ${unknown}.`);
    if (this.status !== 'ACTIVE') {
      return problem('InvalidStateException', 'The CA is not in the correct state to issue.');
    }
    const token = String(given['IdempotencyToken']);
    if (!/^[\x20-\x7e]{1,36}$/.test(token)) return problem('ValidationException', 'The token.');
    const template = /^arn:aws:acm-pca:::template\/(\w+)\/V1$/.exec(String(given['TemplateArn']));
    if (template === null || !templates.includes(template[1] ?? '')) {
      return problem('InvalidArgsException', 'The template ARN is not valid.');
    }
    if (given['SigningAlgorithm'] !== 'SHA256WITHECDSA') {
      return problem('InvalidArgsException', 'The algorithm does not fit the CA.');
    }
    const passthrough = given['ApiPassthrough'] as Passthrough | undefined;
    if (passthrough !== undefined && !/_API/.test(template[1] ?? '')) {
      return problem('InvalidArgsException', 'This template takes no ApiPassthrough.');
    }
    const { Value: days, Type: unit } = given['Validity'] as { Value: number; Type: string };
    if (unit !== 'DAYS' || !Number.isInteger(days)) return problem('ValidationException', 'Days.');
    const earlier = this.tokens.get(token);
    if (earlier !== undefined) return json(200, { CertificateArn: earlier });
    let csr: Uint8Array;
    try {
      csr = this.signer.readPem(Buffer.from(String(given['Csr']), 'base64').toString('latin1'));
      this.signer.read(csr);
    } catch (error) {
      return problem('MalformedCSRException', String(error));
    }
    const signed = await this.signer.sign(csr, {
      validityDays: days,
      // A base template fixes the usages; a blank one has what the API gives.
      ...(template[1]?.startsWith('Blank') === true
        ? usagesOf(passthrough)
        : {
            keyUsages: ['digitalSignature', 'keyEncipherment'],
            extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'],
          }),
    });
    const serial = readCertificate(signed.certificate).serialNumber.toLowerCase();
    const arn = `${caArn}/certificate/${randomBytes(16).toString('hex')}`;
    this.orders.set(arn, { signed, serial, revoked: false });
    this.tokens.set(token, arn);
    return json(200, { CertificateArn: arn });
  }

  #get(given: Record<string, unknown>): Answer {
    const order = this.orders.get(String(given['CertificateArn']));
    if (order === undefined) return problem('ResourceNotFoundException', 'No such certificate.');
    if (this.inProgress > 0) {
      this.inProgress -= 1;
      return problem('RequestInProgressException', 'The request is in progress.');
    }
    if (this.requestFails) return problem('RequestFailedException', 'The request has failed.');
    const pem = (der: Uint8Array) => encodePem('CERTIFICATE', der).trimEnd();
    return json(200, {
      Certificate: pem(order.signed.certificate),
      CertificateChain: order.signed.chain.map(pem).join('\n'),
    });
  }

  #revoke(given: Record<string, unknown>): Answer {
    const serial = String(given['CertificateSerial']).replaceAll(':', '');
    const order = [...this.orders.values()].find((one) => one.serial === serial);
    if (order === undefined) return problem('ResourceNotFoundException', 'No such serial.');
    if (!revocationReasons.includes(String(given['RevocationReason']))) {
      return problem('ValidationException', 'No such reason.');
    }
    if (order.revoked) return problem('RequestAlreadyProcessedException', 'Revoked already.');
    order.revoked = true;
    return json(200, {});
  }
}

interface Passthrough {
  readonly Extensions?: {
    readonly KeyUsage?: Record<string, boolean>;
    readonly ExtendedKeyUsage?: readonly Record<string, string>[];
  };
}

function usagesOf(passthrough: Passthrough | undefined) {
  const { KeyUsage = {}, ExtendedKeyUsage = [] } = passthrough?.Extensions ?? {};
  return {
    keyUsages: KeyUsage['DigitalSignature'] === true ? (['digitalSignature'] as const) : [],
    extendedKeyUsages: ExtendedKeyUsage.map((usage) =>
      usage['ExtendedKeyUsageType'] === 'CLIENT_AUTH'
        ? '1.3.6.1.5.5.7.3.2'
        : usage['ExtendedKeyUsageObjectIdentifier']!,
    ),
  };
}

const issueMembers = [
  'ApiPassthrough',
  'CertificateAuthorityArn',
  'Csr',
  'SigningAlgorithm',
  'TemplateArn',
  'Validity',
  'ValidityNotBefore',
  'IdempotencyToken',
];
const templates = [
  'EndEntityClientAuthCertificate',
  'EndEntityClientAuthCertificate_APIPassthrough',
  'BlankEndEntityCertificate_APICSRPassthrough',
  'BlankEndEntityCertificate_APIPassthrough',
];
const revocationReasons = [
  'UNSPECIFIED',
  'KEY_COMPROMISE',
  'CERTIFICATE_AUTHORITY_COMPROMISE',
  'AFFILIATION_CHANGED',
  'SUPERSEDED',
  'CESSATION_OF_OPERATION',
  'PRIVILEGE_WITHDRAWN',
  'A_A_COMPROMISE',
];

function actionOf({ headers }: SeenRequest): string {
  return /^ACMPrivateCA\.(\w+)$/.exec(String(headers['x-amz-target']))?.[1] ?? '';
}

/** An error of JSON 1.1. */
export function problem(
  type: string,
  message: string,
  code = 400,
  headers: Record<string, string> = {},
): Answer {
  const { body } = json(code, { __type: type, message });
  return {
    status: code,
    headers: { 'content-type': 'application/x-amz-json-1.1', ...headers },
    body,
  };
}
