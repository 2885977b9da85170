/*
 * What the author of a plug-in imports as `certprov`: the contract, its errors, and the few tools that every plug-in
 * needs. Anything that is not here is not promised. docs/develop/adapters.md explains it.
 */

export { z } from 'zod';
export { type ErrorCode, ProvisioningError, type ProvisioningErrorOptions } from '../errors.ts';
export type { KeyType, RequestedCertificate, Subject } from '../request/requested-certificate.ts';
export type { SubjectAltName } from '../x509/alt-name-form.ts';
export { type CertificateFacts, readCertificate } from '../x509/certificate.ts';
export type { DistinguishedName } from '../x509/distinguished-name.ts';
export { decodePem, encodePem, readCertificates } from '../x509/pem.ts';
export type { KeyUsage } from '../x509/usages.ts';
export {
  type AdapterDefinition,
  type AuthorityFeatures,
  type CertificateAuthority,
  type Collected,
  type ConnectContext,
  type CsrAdditions,
  type DroppablePart,
  defineAdapter,
  type Issuance,
  type IssueRequest,
  type PrepareRequest,
  type RevocationReason,
  type SecretReference,
} from './certificate-authority.ts';
export { issuedAnswer } from './issued-answer.ts';
export type { Opaque } from './opaque.ts';
export { secretReference } from './secret.ts';
