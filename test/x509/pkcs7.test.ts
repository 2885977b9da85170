import {
  CertificateChoices,
  CertificateSet,
  ContentInfo,
  EncapsulatedContentInfo,
  id_data,
  id_signedData,
  SignedData,
} from '@peculiar/asn1-cms';
import { AsnConvert } from '@peculiar/asn1-schema';
import { Certificate } from '@peculiar/asn1-x509';
import { describe, expect, it } from 'vitest';
import { seeds } from '../../proofs/fuzz/seeds.ts';
import { contextTag, DerError, tag } from '../../src/x509/der.ts';
import { encode, encodeOid } from '../../src/x509/encode-der.ts';
import { certificatesOfPkcs7, isPkcs7, readSignedData } from '../../src/x509/pkcs7.ts';

const certificates = [seeds.ec.certificate, seeds.issuing, seeds.root];
const explicit0 = contextTag(0, 'constructed');

/** A bag as @peculiar/asn1-cms writes it. */
function bagByLibrary(): Uint8Array {
  const bag = new SignedData({
    version: 1,
    encapContentInfo: new EncapsulatedContentInfo({ eContentType: id_data }),
    certificates: new CertificateSet(
      certificates.map(
        (der) => new CertificateChoices({ certificate: AsnConvert.parse(der, Certificate) }),
      ),
    ),
  });
  const content = AsnConvert.serialize(bag);
  return new Uint8Array(
    AsnConvert.serialize(new ContentInfo({ contentType: id_signedData, content })),
  );
}

/** SignedData of these fields behind its content. */
const signedData = (...fields: readonly Uint8Array[]) =>
  encode(
    tag.sequence,
    encodeOid(id_signedData),
    encode(
      explicit0,
      encode(
        tag.sequence,
        encode(tag.integer, Uint8Array.of(1)),
        encode(tag.set),
        encode(tag.sequence, encodeOid(id_data)),
        ...fields,
      ),
    ),
  );

describe('a bag of certificates', () => {
  it('is read as another library wrote it, byte for byte', () => {
    const bag = bagByLibrary();
    expect(isPkcs7(bag)).toBe(true);
    expect(certificatesOfPkcs7(bag)).toEqual(certificates);
    expect(readSignedData(bag)).toMatchObject({ content: undefined, signers: [] });
  });

  it('may have revocation lists, which @peculiar/asn1-cms does not read, and certificates of other kinds', () => {
    const bag = signedData(
      encode(explicit0, seeds.issuing, encode(contextTag(1, 'constructed'), seeds.root)),
      encode(contextTag(1, 'constructed'), encode(tag.sequence, encode(tag.null))),
      encode(tag.set),
    );
    expect(certificatesOfPkcs7(bag)).toEqual([seeds.issuing]);
  });

  it('may be empty', () => {
    expect(certificatesOfPkcs7(signedData(encode(tag.set)))).toEqual([]);
  });

  it.each([
    [
      'more than a hundred certificates',
      signedData(encode(explicit0, ...new Array<Uint8Array>(101).fill(seeds.ec.spki))),
    ],
    ['another type', encode(tag.sequence, encodeOid(id_data), encode(explicit0, encode(0x30)))],
    ['no content', encode(tag.sequence, encodeOid(id_signedData))],
    ['another form', encode(tag.sequence, encodeOid(id_signedData), encode(explicit0))],
    ['something behind it', Buffer.concat([signedData(encode(tag.set)), Buffer.of(0)])],
  ])('is refused with %s', (_what, bag) => {
    expect(() => certificatesOfPkcs7(bag)).toThrow(DerError);
  });
});
