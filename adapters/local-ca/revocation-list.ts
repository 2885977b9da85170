import { contextTag, tag } from '../../src/x509/der.ts';
import { encode, encodeUnsigned } from '../../src/x509/encode-der.ts';
import { encodeExtensions } from '../../src/x509/extensions.ts';
import { reasonCodes } from '../shared/revocation-reason.ts';
import { authorityKeyIdentifier, encodeTime, type Signer, signed } from './certificate.ts';
import type { RevokedEntry } from './ledger.ts';
import { algorithmOf } from './signing-key.ts';

export interface RevocationListContent {
  readonly number: number;
  /** Milliseconds since the epoch. */
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  readonly revoked: readonly RevokedEntry[];
}

/** A CertificateList, version 2 (RFC 5280 5.1), DER. */
export function signRevocationList(content: RevocationListContent, signer: Signer): Uint8Array {
  const version2 = encode(tag.integer, Uint8Array.of(1));
  const extensions = encodeExtensions([
    authorityKeyIdentifier(signer),
    { type: '2.5.29.20', critical: false, value: integer(content.number) },
  ]);
  const toBeSigned = encode(
    tag.sequence,
    version2,
    algorithmOf(signer.key),
    signer.name,
    encodeTime(content.thisUpdate),
    encodeTime(content.nextUpdate),
    // An empty list is left out (RFC 5280 5.1.2.6).
    ...(content.revoked.length === 0
      ? []
      : [encode(tag.sequence, ...content.revoked.map(revokedCertificate))]),
    encode(contextTag(0, 'constructed'), extensions),
  );
  return signed(toBeSigned, signer.key);
}

function revokedCertificate({ serial, revokedAt, reason }: RevokedEntry): Uint8Array {
  const code = reasonCodes[reason];
  const value = encode(enumerated, Uint8Array.of(code));
  const reasons = encodeExtensions([{ type: '2.5.29.21', critical: false, value }]);
  return encode(
    tag.sequence,
    encodeUnsigned(Buffer.from(serial, 'hex')),
    encodeTime(revokedAt),
    // `unspecified` is expressed by leaving the reason out.
    ...(code === 0 ? [] : [reasons]),
  );
}

/** The tag of ENUMERATED. */
const enumerated = 0x0a;

function integer(value: number): Uint8Array {
  const octets = Buffer.alloc(8);
  octets.writeBigUInt64BE(BigInt(value));
  return encodeUnsigned(octets);
}
