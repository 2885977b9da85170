import { randomUUID } from 'node:crypto';
import { ProvisioningError } from '../../src/errors.ts';
import type { Clock } from '../../src/time/clock.ts';
import { DerError } from '../../src/x509/der.ts';
import type { AdapterHttp, HttpAnswer } from '../shared/http.ts';
import { certificatesOf, decodeLooseBase64 } from './certificates.ts';
import { unsignedHresult } from './hresult.ts';
import {
  badAnswer,
  errorOfStatus,
  type Order,
  type Outcome,
  outcomeOfHresult,
  type Transport,
  type Words,
} from './outcome.ts';
import { issueMessage, namespaces, queryMessage, type UsernameToken } from './soap.ts';
import { childOf, parseXml, type XmlElement, XmlError } from './xml.ts';

const { soap, trust, security, enrollment } = namespaces;

/** No CA counts so far, so asking after it is harmless and proves the whole way to the CA. */
const nobodysRequest = '2147483647';

/** The certificate enrolment web service (CES): MS-WSTEP over HTTPS. */
export class Ces implements Transport {
  readonly #http: AdapterHttp;
  readonly #url: string;
  readonly #user: UsernameToken | undefined;
  readonly #clock: Clock;
  readonly #words: Words;

  constructor(
    http: AdapterHttp,
    url: string,
    user: UsernameToken | undefined,
    clock: Clock,
    words: Words,
  ) {
    this.#http = http;
    this.#url = url;
    this.#user = user;
    this.#clock = clock;
    this.#words = words;
  }

  /** Any word of the CA about a request that does not exist will do; errors that hinder orders are thrown. */
  async check(signal: AbortSignal): Promise<void> {
    await this.#ask(queryMessage(this.#envelope(), nobodysRequest), signal);
  }

  submit({ csr, template }: Order, signal: AbortSignal): Promise<Outcome> {
    return this.#ask(issueMessage(this.#envelope(), csr, template), signal);
  }

  retrieve(requestId: string, _order: Order, signal: AbortSignal): Promise<Outcome> {
    return this.#ask(queryMessage(this.#envelope(), requestId), signal);
  }

  #envelope() {
    return { to: this.#url, messageId: `urn:uuid:${randomUUID()}`, user: this.#user };
  }

  async #ask(body: string, signal: AbortSignal): Promise<Outcome> {
    const headers = {
      'content-type': 'application/soap+xml; charset=utf-8',
      accept: 'application/soap+xml',
    };
    const answer = await this.#http.request(
      { method: 'POST', url: this.#url, headers, body },
      signal,
    );
    const soapBody = bodyOf(answer);
    const fault = childOf(soapBody, soap, 'Fault');
    if (fault !== undefined) return outcomeOfFault(fault, this.#words);
    if (answer.status !== 200) throw errorOfStatus(answer, this.#clock.now(), this.#words);
    const collection = childOf(soapBody, trust, 'RequestSecurityTokenResponseCollection');
    const response = childOf(collection, trust, 'RequestSecurityTokenResponse');
    if (response === undefined) throw badAnswer('the answer is no response of MS-WSTEP.');
    return outcomeOfResponse(response, this.#words);
  }
}

/** The SOAP body; undefined when the answer is no SOAP message. */
function bodyOf(answer: HttpAnswer): XmlElement | undefined {
  try {
    const envelope = parseXml(answer.body.toString('utf8'));
    if (envelope.name !== 'Envelope' || envelope.namespace !== soap) return undefined;
    return childOf(envelope, soap, 'Body');
  } catch (error) {
    if (error instanceof XmlError) return undefined;
    throw error;
  }
}

/** MS-WSTEP 3.1.4.1.3.4. Pending is what has a request id and no certificate of its own. */
function outcomeOfResponse(response: XmlElement, words: Words): Outcome {
  const requested = childOf(response, trust, 'RequestedSecurityToken');
  const leaf = childOf(requested, security, 'BinarySecurityToken');
  const bag = childOf(response, security, 'BinarySecurityToken');
  const requestId = childOf(response, enrollment, 'RequestID')?.text.trim() ?? '';
  try {
    const certificates = [
      ...(leaf === undefined ? [] : certificatesIn(leaf)),
      ...(bag === undefined ? [] : certificatesIn(bag)),
    ];
    if (leaf !== undefined) return { kind: 'issued', certificates };
    // The CMC response may hold the certificate, or the CA's own alone.
    if (certificates.length > 0) {
      return { kind: 'issued', certificates, ...(isRequestId(requestId) ? { requestId } : {}) };
    }
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    throw badAnswer(`the certificates cannot be read: ${error.message}`);
  }
  if (isRequestId(requestId)) return { kind: 'pending', requestId };
  const said = childOf(response, enrollment, 'DispositionMessage')?.text ?? '';
  throw badAnswer(`neither a certificate nor a request id: ${words(said)}`);
}

/** A string to the protocol, a number to every CA. */
function isRequestId(text: string): boolean {
  return /^[\x21-\x7e]{1,64}$/.test(text);
}

/** A token is one certificate (#X509v3) or a SignedData (#PKCS7). */
function certificatesIn(binarySecurityToken: XmlElement): Uint8Array[] {
  const der = decodeLooseBase64(binarySecurityToken.text);
  if (der === undefined) throw badAnswer('a token is not base64.');
  const type = (binarySecurityToken.attributes.get('ValueType') ?? '').trim();
  return type.endsWith('#X509v3') ? [der] : certificatesOf(der);
}

/** MS-WSTEP 3.1.4.1.2.1: the CA's code is in the detail; without it the service itself failed. */
function outcomeOfFault(fault: XmlElement, words: Words): Outcome {
  const code = childOf(fault, soap, 'Code');
  const subcode = childOf(childOf(code, soap, 'Subcode'), soap, 'Value')?.text.trim() ?? '';
  const reason = childOf(childOf(fault, soap, 'Reason'), soap, 'Text')?.text ?? '';
  const detail = childOf(
    childOf(fault, soap, 'Detail'),
    enrollment,
    'CertificateEnrollmentWSDetail',
  );
  const errorCode = childOf(detail, enrollment, 'ErrorCode')?.text.trim() ?? '';
  if (/^-?\d{1,10}$/.test(errorCode)) {
    return outcomeOfHresult(unsignedHresult(Number(errorCode)), words(reason));
  }
  const name = subcode.slice(subcode.indexOf(':') + 1);
  const said = `adcs: ${words(name, 80)}: ${words(reason)}`;
  if (/FailedAuthentication|InvalidSecurity|AccessDenied|ActionNotSupported/.test(name)) {
    throw new ProvisioningError(
      'ca-misconfigured',
      `${said}. Check the user name and password, the URL, and this machine's clock.`,
    );
  }
  throw new ProvisioningError('ca-unavailable', said);
}
