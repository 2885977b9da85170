import type { IssueRequest } from '../../src/plug-in/certificate-authority.ts';
import { formatName } from '../../src/x509/distinguished-name.ts';

/** What a command is told. Names once given here stay: commands of others read them. */
export function requestJson(request: IssueRequest, csrPem: string): string {
  const { wanted } = request;
  const told = {
    requestId: request.requestId,
    processId: request.processId,
    /** Who asks, as Google's record says. */
    requestedBy: request.subject,
    keyType: request.keyType,
    subject: formatName(wanted.subject),
    /** In the order of the encoding: a list of RDNs, each a list of attributes. */
    subjectRdns: wanted.subject,
    subjectAltNames: wanted.subjectAltNames,
    keyUsages: wanted.keyUsages,
    extendedKeyUsages: wanted.extendedKeyUsages,
    validityDays: wanted.validityDays,
    template: wanted.template ?? null,
    ...(wanted.securityIdentifier === undefined
      ? {}
      : { securityIdentifier: wanted.securityIdentifier }),
    csrPem,
  };
  return `${JSON.stringify(told, undefined, 2)}\n`;
}
