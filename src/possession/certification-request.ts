import type { CsrAdditions } from '../plug-in/certificate-authority.ts';
import { extensionRequest } from '../request/read-certification-request.ts';
import type { KeyType, RequestedCertificate } from '../request/requested-certificate.ts';
import { keyAlgorithms } from '../request/signature-algorithm.ts';
import { contextTag, tag } from '../x509/der.ts';
import { encodeName } from '../x509/distinguished-name.ts';
import {
  encode,
  encodeBitString,
  encodeOid,
  encodeSetOf,
  encodeUnsigned,
} from '../x509/encode-der.ts';
import {
  type Extension,
  encodeExtensions,
  extendedKeyUsageExtension,
  keyUsageExtension,
  subjectAltNameExtension,
  templateNameExtension,
} from '../x509/extensions.ts';
import { sidExtension } from '../x509/microsoft-extensions.ts';

const versionOne = encodeUnsigned(Uint8Array.of(0));

/**
 * The bytes that the device signs (DER).
 *
 * CertificationRequestInfo ::= SEQUENCE {                      (RFC 2986 4.1)
 *   version INTEGER { v1(0) }, subject Name, subjectPKInfo SubjectPublicKeyInfo,
 *   attributes [0] IMPLICIT SET OF SEQUENCE { type OBJECT IDENTIFIER, values SET OF ANY } }
 *
 * @throws {NameError} when the subject breaks the standards' bounds.
 * @throws {Error} when the additions repeat what the request says already: a mistake in the adapter.
 */
export function certificationRequestInfo(request: {
  readonly subjectPublicKeyInfo: Uint8Array;
  readonly wanted: RequestedCertificate;
  readonly additions?: CsrAdditions | undefined;
}): Uint8Array {
  const { subjectPublicKeyInfo, wanted, additions = {} } = request;
  const extensions = extensionsOf(wanted, additions);
  const attributes = [...(additions.attributes ?? [])];
  if (extensions.length > 0) {
    attributes.push({ type: extensionRequest, values: [encodeExtensions(extensions)] });
  }
  refuseDoubles(attributes, 'attribute');
  return encode(
    tag.sequence,
    versionOne,
    encodeName(wanted.subject),
    subjectPublicKeyInfo,
    encodeSetOf(
      attributes.map(({ type, values }) =>
        encode(tag.sequence, encodeOid(type), encodeSetOf(values)),
      ),
      contextTag(0, 'constructed'),
    ),
  );
}

function extensionsOf(wanted: RequestedCertificate, additions: CsrAdditions): Extension[] {
  const keyUsages = additions.keyUsages ?? wanted.keyUsages;
  const extensions: Extension[] = [];
  if (keyUsages.length > 0) extensions.push(keyUsageExtension(keyUsages));
  if (wanted.extendedKeyUsages.length > 0) {
    extensions.push(extendedKeyUsageExtension(wanted.extendedKeyUsages));
  }
  if (wanted.subjectAltNames.length > 0) {
    const critical = wanted.subject.length === 0;
    extensions.push(subjectAltNameExtension(wanted.subjectAltNames, critical));
  }
  if (wanted.template !== undefined) extensions.push(templateNameExtension(wanted.template));
  if (wanted.securityIdentifier !== undefined) {
    extensions.push(sidExtension(wanted.securityIdentifier));
  }
  extensions.push(...(additions.extensions ?? []));
  refuseDoubles(extensions, 'extension');
  return extensions;
}

function refuseDoubles(parts: readonly { readonly type: string }[], what: string): void {
  const types = parts.map(({ type }) => type);
  const double = types.find((type, index) => types.indexOf(type) !== index);
  if (double !== undefined) {
    throw new Error(
      `The request has ${what} ${double} twice: the adapter’s prepare() must not add it.`,
    );
  }
}

/**
 * The complete request (DER), without a private key being at hand.
 *
 * CertificationRequest ::= SEQUENCE {                          (RFC 2986 4.2)
 *   CertificationRequestInfo, signatureAlgorithm AlgorithmIdentifier, signature BIT STRING }
 *
 * @param info what {@link certificationRequestInfo} gave and the device signed.
 * @param signature in the form that `verifySignature` returns.
 */
export function certificationRequest(
  info: Uint8Array,
  keyType: KeyType,
  signature: Uint8Array,
): Uint8Array {
  return encode(tag.sequence, info, keyAlgorithms[keyType].identifier, encodeBitString(signature));
}
