import { escapeXml } from './xml.ts';

/*
 * Messages of MS-WSTEP 3.1.4.1 on SOAP 1.2 (with WS-Addressing 1.0, WS-Trust 1.3, WS-Security 1.0).
 */

const wsse = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd';

export const namespaces = {
  soap: 'http://www.w3.org/2003/05/soap-envelope',
  addressing: 'http://www.w3.org/2005/08/addressing',
  trust: 'http://docs.oasis-open.org/ws-sx/ws-trust/200512',
  security: wsse,
  enrollment: 'http://schemas.microsoft.com/windows/pki/2009/01/enrollment',
  authorization: 'http://schemas.xmlsoap.org/ws/2006/12/authorization',
} as const;

const action = `${namespaces.enrollment}/RST/wstep`;
const anonymous = `${namespaces.addressing}/anonymous`;
const passwordText =
  'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText';
const x509v3 =
  'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3';

export interface UsernameToken {
  readonly username: string;
  readonly password: string;
}

export interface Envelope {
  /** The service's URL. */
  readonly to: string;
  /** `urn:uuid:…`, new for every message. */
  readonly messageId: string;
  readonly user: UsernameToken | undefined;
}

/** A new request (MS-WSTEP 3.1.4.2.1.1). `csr` is DER; `template` the template's name (cn). */
export function issueMessage(
  envelope: Envelope,
  csr: Uint8Array,
  template: string | undefined,
): string {
  const base64 = Buffer.from(csr).toString('base64');
  const context =
    template === undefined
      ? ''
      : `<ac:AdditionalContext xmlns:ac="${namespaces.authorization}"><ac:ContextItem Name="CertificateTemplate"><ac:Value>${escapeXml(template)}</ac:Value></ac:ContextItem></ac:AdditionalContext>`;
  return message(
    envelope,
    `<wst:RequestType>${namespaces.trust}/Issue</wst:RequestType>` +
      `<wsse:BinarySecurityToken xmlns:wsse="${wsse}" ValueType="${namespaces.enrollment}#PKCS10" EncodingType="${wsse}#base64binary">${base64}</wsse:BinarySecurityToken>` +
      context +
      `<e:RequestID xmlns:e="${namespaces.enrollment}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/>`,
  );
}

/** Asks after a request (MS-WSTEP 3.1.4.2.1.2). */
export function queryMessage(envelope: Envelope, requestId: string): string {
  return message(
    envelope,
    `<wst:RequestType>${namespaces.enrollment}/QueryTokenStatus</wst:RequestType>` +
      `<e:RequestID xmlns:e="${namespaces.enrollment}">${escapeXml(requestId)}</e:RequestID>`,
  );
}

function message({ to, messageId, user }: Envelope, body: string): string {
  const security =
    user === undefined
      ? ''
      : `<wsse:Security xmlns:wsse="${wsse}" s:mustUnderstand="1"><wsse:UsernameToken><wsse:Username>${escapeXml(user.username)}</wsse:Username><wsse:Password Type="${passwordText}">${escapeXml(user.password)}</wsse:Password></wsse:UsernameToken></wsse:Security>`;
  return (
    `<s:Envelope xmlns:s="${namespaces.soap}" xmlns:a="${namespaces.addressing}">` +
    `<s:Header><a:Action s:mustUnderstand="1">${action}</a:Action>` +
    `<a:MessageID>${messageId}</a:MessageID>` +
    `<a:ReplyTo><a:Address>${anonymous}</a:Address></a:ReplyTo>` +
    `<a:To s:mustUnderstand="1">${escapeXml(to)}</a:To>${security}</s:Header>` +
    `<s:Body><wst:RequestSecurityToken xmlns:wst="${namespaces.trust}">` +
    `<wst:TokenType>${x509v3}</wst:TokenType>${body}` +
    `</wst:RequestSecurityToken></s:Body></s:Envelope>`
  );
}
