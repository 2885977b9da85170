import { parseXml, type XmlElement } from '../../../adapters/adcs/xml.ts';
import type { RequestedCertificate } from '../../../src/request/requested-certificate.ts';
import { contextTag, tag } from '../../../src/x509/der.ts';
import { encode, encodeOid, encodeUnsigned } from '../../../src/x509/encode-der.ts';
import { type Answer, CloudServer, type SeenRequest, type TlsMaterial } from './cloud-server.ts';
import { CloudSigner, type Signed } from './cloud-signer.ts';

/*
 * A double of a Windows CA. Its two doors follow
 * - MS-WSTEP 3.1.4.1 and 3.1.4.2 (messages and their processing) and the examples in 4.1: the certificate enrolment web
 *   service, with user name (WS-Security 1.0 UsernameToken) or a client certificate of TLS;
 * - the pages certfnsh.asp, certnew.cer and certnew.p7b of web enrolment, as the clients of others read them.
 * Decisions are as MS-WCCE 3.2.1.4.2.1 has them: issued, pending ("taken under submission"), denied, or an HRESULT.
 */

export const account = { username: 'SCHOOL\\svc-certprov', password: 'Pä$$wort & <Schlüssel>' };
export const templateName = 'ChromeOSDevice';

interface Filed {
  readonly csr: Uint8Array;
  signed?: Signed;
  denied?: number;
}

export class AdcsDouble implements AsyncDisposable {
  readonly signer: CloudSigner;
  readonly filed = new Map<string, Filed>();
  /** Whether the leaf stands beside the CMC response, as a server SHOULD do it (3.1.4.1.3.2). */
  leafApart = true;
  /** What becomes of the next request: issued unless it says otherwise. */
  next: 'pend' | number | undefined;
  /** How often a pending request is asked after before it is decided, and how. */
  undecided = 1;
  verdict: 'issue' | number = 'issue';
  /** A template that is not set to "Supply in the request" certifies its requester. */
  buildsFromDirectory = false;
  /** In place of English pages. */
  language: 'en' | 'de' | 'fr' = 'en';
  #number = 60;
  #server: CloudServer | undefined;

  private constructor(signer: CloudSigner) {
    this.signer = signer;
  }

  static async start(tls?: TlsMaterial): Promise<AdcsDouble> {
    const double = new AdcsDouble(await CloudSigner.create());
    double.#server = await CloudServer.start((request) => double.#serve(request, tls), tls);
    double.#server.counts = ({ body, url }) =>
      body.includes('/200512/Issue<') || url.pathname.endsWith('/certfnsh.asp');
    return double;
  }

  get server(): CloudServer {
    return this.#server!;
  }

  get cesUrl(): string {
    return `${this.server.origin}/School%20CA_CES_UsernamePassword/service.svc/CES`;
  }

  get certsrvUrl(): string {
    return `${this.server.origin}/certsrv`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await this.signer[Symbol.asyncDispose]();
  }

  async #serve(request: SeenRequest, tls: TlsMaterial | undefined): Promise<Answer> {
    if (request.url.pathname.startsWith('/certsrv/')) return this.#page(request, tls);
    return this.#soap(request, tls);
  }

  async #file(csr: Uint8Array): Promise<string | number> {
    try {
      this.signer.read(csr);
    } catch {
      return 0x8009_1004;
    }
    const next = this.next;
    this.next = undefined;
    if (typeof next === 'number') return next;
    const id = String(++this.#number);
    const filed: Filed = { csr };
    this.filed.set(id, filed);
    if (next !== 'pend') filed.signed = await this.#sign(csr);
    return id;
  }

  #sign(csr: Uint8Array): Promise<Signed> {
    const own: Partial<RequestedCertificate> = {
      subject: [[{ type: '2.5.4.3', value: 'svc-certprov' }]],
      subjectAltNames: [{ type: 'upn', value: 'svc-certprov@school.example.org' }],
    };
    return this.signer.sign(csr, {
      validityDays: 365,
      keyUsages: ['digitalSignature', 'keyEncipherment'],
      extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'],
      ...(this.buildsFromDirectory ? own : {}),
    });
  }

  /** How a request stands; pending ones come nearer to their decision. */
  async #look(id: string): Promise<Filed | number> {
    const filed = this.filed.get(id);
    if (filed === undefined) return 0x8009_4004;
    if (filed.denied !== undefined) return filed.denied;
    if (filed.signed !== undefined || this.undecided-- > 0) return filed;
    if (typeof this.verdict === 'number') {
      filed.denied = this.verdict;
      return this.verdict;
    }
    filed.signed = await this.#sign(filed.csr);
    return filed;
  }

  async #soap({ method, headers, body }: SeenRequest, tls: TlsMaterial | undefined) {
    if (method !== 'POST') return { status: 405, body: '' };
    if (!/^application\/soap\+xml; ?charset=utf-8/.test(headers['content-type'] ?? '')) {
      return { status: 415, body: '' };
    }
    const envelope = parseXml(body);
    const header = only(envelope, soap, 'Header');
    const action = only(header, addressing, 'Action');
    if (
      action.text !== `${enrollment}/RST/wstep` ||
      action.attributes.get('mustUnderstand') !== '1' ||
      !/^urn:uuid:[0-9a-f-]{36}$/.test(only(header, addressing, 'MessageID').text)
    ) {
      return fault('a:ActionNotSupported', 'The action is not supported.');
    }
    const security = header.children.find(({ name }) => name === 'Security');
    if (tls === undefined) {
      const user = security === undefined ? undefined : only(security, wsse, 'UsernameToken');
      const name = user === undefined ? '' : only(user, wsse, 'Username').text;
      const secret = user === undefined ? undefined : only(user, wsse, 'Password');
      if (
        name !== account.username ||
        secret?.text !== account.password ||
        !secret.attributes.get('Type')?.endsWith('#PasswordText')
      ) {
        return fault(
          'a:FailedAuthentication',
          'At least one security token could not be validated.',
        );
      }
    } else if (security !== undefined) {
      return fault('a:InvalidSecurity', 'An error occurred when verifying security.');
    }
    const request = only(only(envelope, soap, 'Body'), trust, 'RequestSecurityToken');
    if (only(request, trust, 'TokenType').text !== x509v3) return fault('a:Invalid', 'TokenType');
    const type = only(request, trust, 'RequestType').text;
    if (type === `${trust}/Issue`) return this.#issue(request);
    if (type !== `${enrollment}/QueryTokenStatus`) return fault('a:Invalid', 'RequestType');
    const id = only(request, enrollment, 'RequestID').text;
    const found = await this.#look(id);
    return typeof found === 'number' ? denied(found, undefined) : this.#response(id, found.signed);
  }

  async #issue(request: XmlElement): Promise<Answer> {
    const binary = only(request, wsse, 'BinarySecurityToken');
    if (
      binary.attributes.get('ValueType') !== `${enrollment}#PKCS10` ||
      binary.attributes.get('EncodingType') !== `${wsse}#base64binary`
    ) {
      return fault('a:Invalid', 'The token.');
    }
    const item = only(
      only(request, authorization, 'AdditionalContext'),
      authorization,
      'ContextItem',
    );
    const named = item.attributes.get('Name') === 'CertificateTemplate';
    if (!named || only(item, authorization, 'Value').text !== templateName) {
      return denied(0x8009_4800, undefined);
    }
    const id = await this.#file(new Uint8Array(Buffer.from(binary.text, 'base64')));
    return typeof id === 'number'
      ? denied(id, undefined)
      : this.#response(id, this.filed.get(id)?.signed);
  }

  #response(id: string, signed: Signed | undefined): Answer {
    return response(id, signed, this.leafApart);
  }

  async #page(request: SeenRequest, tls: TlsMaterial | undefined): Promise<Answer> {
    const { method, url, headers, body } = request;
    const basic = Buffer.from(`${account.username}:${account.password}`).toString('base64');
    if (tls === undefined && headers.authorization !== `Basic ${basic}`) {
      return html('<h1>401</h1>', 401);
    }
    if (url.pathname === '/certsrv/') return html('<p>Welcome</p>');
    if (method === 'POST' && url.pathname === '/certsrv/certfnsh.asp') {
      const form = new URLSearchParams(body);
      if (form.get('Mode') !== 'newreq' || form.get('SaveCert') !== 'yes') return html('', 500);
      if (form.get('CertAttrib') !== `CertificateTemplate:${templateName}\r\n`) {
        return html(pages.en.denied(0x8009_4800));
      }
      const id = await this.#file(this.signer.readPem(form.get('CertRequest') ?? ''));
      const page = pages[this.language];
      if (typeof id === 'number') return html(page.denied(id));
      const issued = this.filed.get(id)?.signed !== undefined;
      return html(issued ? page.issued(id) : page.pending(id));
    }
    const id = url.searchParams.get('ReqID') ?? '';
    if (!/^\/certsrv\/certnew\.(cer|p7b)$/.test(url.pathname)) return html('', 404);
    const found = await this.#look(id);
    if (typeof found === 'number') return html(pages[this.language].denied(found));
    if (found.signed === undefined) return html(pages[this.language].submission(id));
    const cer = url.pathname.endsWith('.cer');
    const file = cer ? found.signed.certificate : bagOf(found.signed);
    return {
      status: 200,
      headers: {
        'content-type': cer ? 'application/pkix-cert' : 'application/x-pkcs7-certificates',
      },
      body: `-----BEGIN CERTIFICATE-----\r\n${wrapped(file, '\r\n')}\r\n-----END CERTIFICATE-----\r\n`,
    };
  }
}

const soap = 'http://www.w3.org/2003/05/soap-envelope';
const addressing = 'http://www.w3.org/2005/08/addressing';
const trust = 'http://docs.oasis-open.org/ws-sx/ws-trust/200512';
const enrollment = 'http://schemas.microsoft.com/windows/pki/2009/01/enrollment';
const authorization = 'http://schemas.xmlsoap.org/ws/2006/12/authorization';
const oasis = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss';
const wsse = `${oasis}-wssecurity-secext-1.0.xsd`;
const x509v3 = `${oasis}-x509-token-profile-1.0#X509v3`;

function only(parent: XmlElement, namespace: string, name: string): XmlElement {
  const found = parent.children.filter(
    (child) => child.name === name && child.namespace === namespace,
  );
  if (found.length !== 1) throw new Error(`${found.length} times ${name}`);
  return found[0]!;
}

function envelope(status: number, body: string): Answer {
  return {
    status,
    headers: { 'content-type': 'application/soap+xml; charset=utf-8' },
    body: `<s:Envelope xmlns:s="${soap}" xmlns:a="${addressing}"><s:Header><a:Action s:mustUnderstand="1">${enrollment}/RSTRC/wstep</a:Action></s:Header><s:Body>${body}</s:Body></s:Envelope>`,
  };
}

/** As in MS-WSTEP 4.1.1.2; line breaks inside of base64 as Windows writes them. */
export function response(id: string, signed: Signed | undefined, leafApart: boolean): Answer {
  const token = (type: string, der: Uint8Array) =>
    `<BinarySecurityToken ValueType="${type}" EncodingType="${wsse}#base64binary" xmlns="${wsse}">${wrapped(der, '&#xD;\n')}</BinarySecurityToken>`;
  const bag = bagOf(signed);
  const requested =
    signed === undefined
      ? `<SecurityTokenReference xmlns="${wsse}"><Reference URI="https://ca.school.example.org/CES"/></SecurityTokenReference>`
      : leafApart
        ? token(x509v3, signed.certificate)
        : '';
  return envelope(
    200,
    `<RequestSecurityTokenResponseCollection xmlns="${trust}"><RequestSecurityTokenResponse><TokenType>${x509v3}</TokenType><DispositionMessage xml:lang="en-US" xmlns="${enrollment}">${signed === undefined ? 'Taken Under Submission' : 'Issued'}</DispositionMessage>${token(`${wsse}#PKCS7`, bag)}<RequestedSecurityToken>${requested}</RequestedSecurityToken><RequestID xmlns="${enrollment}">${id}</RequestID></RequestSecurityTokenResponse></RequestSecurityTokenResponseCollection>`,
  );
}

/** A SOAP fault, with the CA's code where there is one (3.1.4.1.3.7). */
export function fault(subcode: string, reason: string, detail = ''): Answer {
  return envelope(
    500,
    `<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value xmlns:a="http://schemas.microsoft.com/net/2005/12/windowscommunicationfoundation/dispatcher">${subcode}</s:Value></s:Subcode></s:Code><s:Reason><s:Text xml:lang="en-US">${reason}</s:Text></s:Reason>${detail}</s:Fault>`,
  );
}

export function denied(hresult: number, requestId: string | undefined): Answer {
  return fault(
    'a:InternalServiceFault',
    'The certification authority denied the request.',
    `<s:Detail><CertificateEnrollmentWSDetail xmlns="${enrollment}" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><BinaryResponse i:nil="true"/><ErrorCode>${hresult | 0}</ErrorCode><InvalidRequest>true</InvalidRequest><RequestID${requestId === undefined ? ' i:nil="true"/>' : `>${requestId}</RequestID>`}</CertificateEnrollmentWSDetail></s:Detail>`,
  );
}

/** A CMC full response (RFC 5272 4.1) with its certificates, the signature left out. */
function bagOf(signed: Signed | undefined): Uint8Array {
  const certificates = signed === undefined ? [] : [...signed.chain, signed.certificate];
  const data = encode(
    tag.sequence,
    encodeUnsigned(Uint8Array.of(3)),
    encode(tag.set),
    encode(tag.sequence, encodeOid('1.3.6.1.5.5.7.12.3')),
    encode(contextTag(0, 'constructed'), ...certificates),
    encode(tag.set),
  );
  return encode(
    tag.sequence,
    encodeOid('1.2.840.113549.1.7.2'),
    encode(contextTag(0, 'constructed'), data),
  );
}

function wrapped(der: Uint8Array, lineBreak: string): string {
  return (
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  ).join(lineBreak);
}

export function html(body: string, status = 200): Answer {
  const page = `<HTML><Head><Title>Microsoft Active Directory Certificate Services</Title><Script>var nRenewals=0; var x="0x80004005";</Script></Head><Body>${body}</Body></HTML>`;
  return { status, headers: { 'content-type': 'text/html' }, body: page };
}

const hex = (hresult: number) => `0x${hresult.toString(16)}`;
const link = (id: string) => `<A Href="certnew.cer?ReqID=${id}&amp;Enc=b64">`;
const pages = {
  en: {
    issued: (id: string) => `The certificate was issued. ${link(id)}Download certificate</A>`,
    pending: (id: string) =>
      `<P ID=locPageTitle><B>Certificate Pending</B><P>Your certificate request has been received.<P>Your Request Id is ${id}.<P>Please return in a day or two. <B>Note:</B> You must return within 10 days.`,
    submission: (id: string) =>
      `The requested certificate is not there. Request ${id}: The disposition message is "Taken Under Submission".`,
    denied: (code: number) =>
      `<P ID=locPageTitle>Certificate Request Denied<P>Your Request Id is 7. The disposition message is "Denied by Policy Module  ${hex(code)}, The words of the CA. ".`,
  },
  de: {
    issued: (id: string) => `Das Zertifikat wurde ausgestellt. ${link(id)}Herunterladen</A>`,
    pending: (id: string) =>
      `<P>Die Zertifikatanforderung wurde empfangen.<P>Die Anforderungs-ID lautet ${id}.<P>Kehren Sie innerhalb von 10 Tagen zurück.`,
    submission: () => 'Die Dispositionsnachricht lautet "Unter Übermittlung genommen".',
    denied: (code: number) =>
      `<P>Die Anforderungs-ID lautet 7. Die Dispositionsnachricht lautet "Verweigert vom Richtlinienmodul ${hex(code)}".`,
  },
  fr: {
    issued: (id: string) => `Le certificat a été délivré. ${link(id)}Télécharger</A>`,
    pending: (id: string) =>
      `<P>Votre demande de certificat a été reçue.<P>Votre ID de demande est ${id}.<P>Revenez dans les 10 jours.`,
    submission: () => 'Le message est "Pris en compte".',
    denied: (code: number) => `<P>Votre ID de demande est 7. Le message est "Refusé ${hex(code)}".`,
  },
};
