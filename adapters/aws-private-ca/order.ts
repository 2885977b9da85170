import { createHash } from 'node:crypto';
import type {
  ApiPassthrough,
  CustomExtension,
  ExtendedKeyUsage,
  GeneralName,
  KeyUsage,
  SigningAlgorithm,
} from '@aws-sdk/client-acm-pca';
import type { IssueRequest } from '../../src/plug-in/certificate-authority.ts';
import { readCertificationRequest } from '../../src/request/read-certification-request.ts';
import type { SubjectAltName } from '../../src/x509/alt-name-form.ts';
import { microsoftOid } from '../../src/x509/microsoft-extensions.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { extendedKeyUsageOids } from '../../src/x509/usages.ts';

/** Extensions of a CSR that an API template can take over as they stand. */
const carriedExtensions: readonly string[] = [microsoftOid.securityIdentifier];
const userPrincipalName = '1.3.6.1.4.1.311.20.2.3';

/** The parameters of IssueCertificate. */
export function orderOf(
  request: IssueRequest,
  certificateAuthorityArn: string,
  template: string,
  signingAlgorithm: SigningAlgorithm,
) {
  const apiPassthrough = passthroughOf(request, template);
  return {
    CertificateAuthorityArn: certificateAuthorityArn,
    Csr: Buffer.from(encodePem('CERTIFICATE REQUEST', request.csr)),
    SigningAlgorithm: signingAlgorithm,
    TemplateArn: templateArn(template, certificateAuthorityArn),
    Validity: { Value: request.wanted.validityDays, Type: 'DAYS' as const },
    // The token is the account's: with another CA the same order is another one.
    IdempotencyToken: createHash('sha256')
      .update(`${certificateAuthorityArn} ${request.requestId}`)
      .digest('hex')
      .slice(0, 36),
    ...(apiPassthrough === undefined ? {} : { ApiPassthrough: apiPassthrough }),
  };
}

/** Templates have the partition of the CA: aws, aws-us-gov, aws-cn. */
function templateArn(template: string, certificateAuthorityArn: string): string {
  if (template.startsWith('arn:')) return template;
  const partition = certificateAuthorityArn.split(':')[1];
  return `arn:${partition}:acm-pca:::template/${template}`;
}

/**
 * What goes beside the CSR: only with a template whose name says so, since any other refuses it ("Template
 * varieties" in the user guide). The subject is always the CSR's. Usages only with the blank templates: the
 * others fix them.
 */
function passthroughOf(request: IssueRequest, template: string): ApiPassthrough | undefined {
  if (!/_API(CSR)?Passthrough\/V1$/.test(template)) return undefined;
  const { subjectAltNames, keyUsages, extendedKeyUsages } = request.wanted;
  const blank = /(^|\/)Blank/.test(template);
  const custom = readCertificationRequest(request.csr)
    .extensions.filter(({ type }) => carriedExtensions.includes(type))
    .map(
      ({ type, critical, value }): CustomExtension => ({
        ObjectIdentifier: type,
        Value: Buffer.from(value).toString('base64'),
        Critical: critical,
      }),
    );
  return {
    Extensions: {
      ...(subjectAltNames.length === 0
        ? {}
        : { SubjectAlternativeNames: subjectAltNames.map(generalName) }),
      ...(blank && keyUsages.length > 0 ? { KeyUsage: keyUsage(request) } : {}),
      ...(blank && extendedKeyUsages.length > 0
        ? { ExtendedKeyUsage: extendedKeyUsages.map(extendedKeyUsage) }
        : {}),
      ...(custom.length === 0 ? {} : { CustomExtensions: custom }),
    },
  };
}

function generalName({ type, value }: SubjectAltName): GeneralName {
  switch (type) {
    case 'dns':
      return { DnsName: value };
    case 'email':
      return { Rfc822Name: value };
    case 'uri':
      return { UniformResourceIdentifier: value };
    case 'upn':
      return { OtherName: { TypeId: userPrincipalName, Value: value } };
  }
}

function keyUsage({ wanted: { keyUsages } }: IssueRequest): KeyUsage {
  return {
    DigitalSignature: keyUsages.includes('digitalSignature'),
    NonRepudiation: keyUsages.includes('nonRepudiation'),
    KeyEncipherment: keyUsages.includes('keyEncipherment'),
    DataEncipherment: keyUsages.includes('dataEncipherment'),
    KeyAgreement: keyUsages.includes('keyAgreement'),
  };
}

function extendedKeyUsage(oid: string): ExtendedKeyUsage {
  return oid === extendedKeyUsageOids.clientAuth
    ? { ExtendedKeyUsageType: 'CLIENT_AUTH' }
    : { ExtendedKeyUsageObjectIdentifier: oid };
}
