import { generateKeyPairSync, sign } from 'node:crypto';
import { CertificationRequest } from '@peculiar/asn1-csr';
import { AsnConvert } from '@peculiar/asn1-schema';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  certificationRequest,
  certificationRequestInfo,
} from '../../src/possession/certification-request.ts';
import { readCertificationRequest } from '../../src/request/read-certification-request.ts';
import type { RequestedCertificate } from '../../src/request/requested-certificate.ts';
import { tag } from '../../src/x509/der.ts';
import { encode } from '../../src/x509/encode-der.ts';
import { keyUsageNames } from '../../src/x509/usages.ts';

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const subjectPublicKeyInfo = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));

const printable = fc.stringMatching(/^[!-~]([ -~]{0,40}[!-~])?$/);
const oid = fc
  .tuple(fc.constantFrom('1.2', '1.3', '2.5'), fc.array(fc.nat(), { minLength: 1, maxLength: 8 }))
  .map(([start, arcs]) => [start, ...arcs].join('.'));

const wanted: fc.Arbitrary<RequestedCertificate> = fc.record({
  subject: fc.array(
    printable.map((value) => [{ type: '2.5.4.11', value }]),
    { maxLength: 4 },
  ),
  subjectAltNames: fc.array(
    fc.record({ type: fc.constantFrom('dns', 'email', 'upn', 'uri'), value: printable }),
    { maxLength: 5 },
  ),
  keyUsages: fc.subarray([...keyUsageNames]),
  extendedKeyUsages: fc.uniqueArray(oid, { maxLength: 4 }),
  validityDays: fc.constant(1),
});

const additions = fc.record({
  attributes: fc.uniqueArray(
    fc.record({
      type: oid.map((dotted) => `1.2.1.${dotted}`),
      values: fc.array(
        fc.uint8Array({ maxLength: 200 }).map((content) => encode(tag.octetString, content)),
        { minLength: 1, maxLength: 3 },
      ),
    }),
    { maxLength: 3, selector: ({ type }) => type },
  ),
});

function makeRequest(
  what: RequestedCertificate,
  more: Parameters<typeof certificationRequestInfo>[0]['additions'],
) {
  const info = certificationRequestInfo({ subjectPublicKeyInfo, wanted: what, additions: more });
  return certificationRequest(info, 'ec', sign('sha256', info, privateKey));
}

describe('a certification request', () => {
  it('comes back as it was asked for, and another library writes the same bytes', () => {
    fc.assert(
      fc.property(wanted, additions, (what, more) => {
        const csr = makeRequest(what, more);
        const facts = readCertificationRequest(csr);
        expect(facts.verified).toBe(true);
        expect(facts.subject).toEqual(what.subject);
        expect(facts.subjectAltNames).toEqual(what.subjectAltNames);
        expect(facts.keyUsages).toEqual(what.keyUsages);
        expect(facts.extendedKeyUsages).toEqual(what.extendedKeyUsages);
        expect(facts.attributes).toHaveLength(more.attributes.length);
        const again = AsnConvert.serialize(AsnConvert.parse(csr, CertificationRequest));
        expect(Buffer.from(again).equals(csr)).toBe(true);
      }),
    );
  });
});
