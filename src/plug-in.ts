/*
 * What the author of a plug-in imports as `certprov`: the contract, its errors, and the few tools that every
 * plug-in needs. What is not here is not promised. docs/adapters.md explains it.
 */

export { z } from 'zod';
export { type ErrorCode, ProvisioningError, type ProvisioningErrorOptions } from './errors.ts';
export {
  type AdapterDefinition,
  type AuthorityFeatures,
  type CertificateAuthority,
  type Collected,
  type ConnectContext,
  type CsrAdditions,
  type DistinguishedName,
  type DroppablePart,
  defineAdapter,
  type Issuance,
  type IssueRequest,
  type KeyType,
  type KeyUsage,
  type PrepareRequest,
  type RequestedCertificate,
  type RevocationReason,
  type SecretReference,
  type Subject,
  type SubjectAltName,
} from './issue/certificate-authority.ts';
export { issuedAnswer } from './issue/issued-answer.ts';
export { secretReference } from './issue/secret.ts';
export type { Opaque } from './journal/process-record.ts';
export { type CertificateFacts, readCertificate } from './x509/certificate.ts';
export { decodePem, encodePem, readCertificates } from './x509/pem.ts';
