import { expect, it } from 'vitest';
import { issuedPem } from '../../../adapters/shared/issued-pem.ts';
import { readCertificate } from '../../../src/x509/certificate.ts';
import { encodePem } from '../../../src/x509/pem.ts';
import { SigningCa } from '../../support/signing-ca.ts';

it('cuts a chain that is too long: what was issued is not lost over it', () => {
  const roots = Array.from({ length: 25 }, (_, index) => new SigningCa(`School ${index}`).root);
  const [own = new Uint8Array()] = roots;
  const { subjectPublicKeyInfo } = readCertificate(own);
  const texts = roots.map((der) => encodePem('CERTIFICATE', der)).toReversed();
  const issued = issuedPem([...texts, null], { subjectPublicKeyInfo }, 'The certificates');
  expect(issued.certificate).toEqual(own);
  expect(issued.chain).toHaveLength(20);
});
