import type { IssueRequest } from '../../src/plug-in/certificate-authority.ts';
import { formatName } from '../../src/x509/distinguished-name.ts';
import { encodePem } from '../../src/x509/pem.ts';

/** An order as commands and services of others are told of it. Names once given here stay: those read them. */
export function orderJson(request: IssueRequest) {
  const { wanted } = request;
  return {
    requestId: request.requestId,
    processId: request.processId,
    /** Who asks, as Google's record says. */
    requestedBy: request.subject,
    keyType: request.keyType,
    subject: formatName(wanted.subject),
    /** In the order of the encoding: a list of RDNs, each a list of attributes. */
    subjectRdns: wanted.subject.map((rdn) => rdn.map(({ type, value }) => ({ type, value }))),
    subjectAltNames: wanted.subjectAltNames.map(({ type, value }) => ({ type, value })),
    keyUsages: [...wanted.keyUsages],
    extendedKeyUsages: [...wanted.extendedKeyUsages],
    validityDays: wanted.validityDays,
    template: wanted.template ?? null,
    ...(wanted.securityIdentifier === undefined
      ? {}
      : { securityIdentifier: wanted.securityIdentifier }),
    csrPem: encodePem('CERTIFICATE REQUEST', request.csr),
  };
}
