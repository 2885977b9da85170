import fc from 'fast-check';
import { checkCertificate } from '../../../src/deliver/check-certificate.ts';
import { ProvisioningError } from '../../../src/errors.ts';
import { readCertificationRequest } from '../../../src/request/read-certification-request.ts';
import { algorithmOfKey, verifySignature } from '../../../src/request/signature-algorithm.ts';
import { readCertificate } from '../../../src/x509/certificate.ts';
import { DerError } from '../../../src/x509/der.ts';
import { type Door, demand } from '../door.ts';
import { seeds } from '../seeds.ts';
import { wanted } from '../wanted.ts';

const equal = (one: Uint8Array, other: Uint8Array) => Buffer.compare(one, other) === 0;
const bytes = fc.uint8Array({ maxLength: 400 });
const keySeeds = [seeds.ec, seeds.rsa] as const;
const certificates = [...keySeeds.map(({ certificate }) => certificate), seeds.issuing, seeds.root];

const isCertificateFault = (error: unknown): boolean =>
  error instanceof ProvisioningError && error.code.startsWith('certificate-');

/** A CA's certificate, checked against its root: only the one that was signed may pass. */
export const certificate: Door = {
  name: 'certificate',
  form: 'der',
  seeds: certificates,
  dictionary: ['*.example', '\x30\x80', '\x05\x00', '99991231235959Z', '20260101000000+0100'],
  generated: bytes,
  enter(input) {
    const key = equal(input, seeds.rsa.certificate) ? seeds.rsa : seeds.ec;
    const facts = checkCertificate({
      certificate: input,
      chain: [seeds.issuing],
      subjectPublicKeyInfo: key.spki,
      wanted,
      roots: [seeds.root],
      mayDrop: [],
      now: seeds.now,
    });
    demand(equal(input, key.certificate), 'a forged certificate passes the check');
    return facts.isCa ? 'CA' : 'end entity';
  },
  isRefusal: isCertificateFault,
};

/** The same without roots, where nothing but the certificate's own words can be checked. */
export const unrootedCertificate: Door = {
  ...certificate,
  name: 'unrooted-certificate',
  enter(input) {
    const facts = checkCertificate({
      certificate: input,
      chain: [],
      subjectPublicKeyInfo: seeds.ec.spki,
      wanted,
      roots: [],
      mayDrop: ['subject', 'dns', 'email', 'upn', 'uri', 'keyUsages', 'extendedKeyUsages'],
      now: seeds.now,
    });
    demand(equal(facts.subjectPublicKeyInfo, seeds.ec.spki), 'another key passes the check');
    demand(!facts.isCa, 'a CA passes the check');
    demand(facts.notAfter > seeds.now, 'an expired certificate passes the check');
    return `${facts.subjectAltNames.length} names`;
  },
};

/** What a CA sends along: whatever it is, it must not make a certificate pass that has no chain. */
export const chain: Door = {
  ...certificate,
  name: 'chain',
  enter(input) {
    checkCertificate({
      certificate: seeds.ec.certificate,
      chain: [input],
      subjectPublicKeyInfo: seeds.ec.spki,
      wanted,
      roots: [seeds.root],
      mayDrop: [],
      now: seeds.now,
    });
    demand(equal(input, seeds.issuing), 'a forged CA certificate makes a chain');
    return 'chain';
  },
};

/** Certificates of any kind: the reader's error is a plain Error with a sentence. */
export const certificateReader: Door = {
  ...certificate,
  name: 'certificate-reader',
  enter(input) {
    const { subjectAltNames, extensions, isCa } = readCertificate(input);
    return `${subjectAltNames.length} names, ${extensions.length} extensions, ${isCa}`;
  },
  isRefusal: (error) =>
    error instanceof Error &&
    error.name === 'Error' &&
    /^(This is not a readable certificate\. |The certificate has \d+ bytes)/.test(error.message),
};

/** Certification requests: only what was signed may count as verified. */
export const request: Door = {
  name: 'request',
  form: 'der',
  seeds: keySeeds.map(({ csr }) => csr),
  dictionary: certificate.dictionary,
  generated: bytes,
  enter(input) {
    const { verified, attributes, extensions } = readCertificationRequest(input);
    const isOurs = keySeeds.some(({ csr }) => equal(csr, input));
    demand(!verified || isOurs, 'a forged request is verified');
    return `${verified}, ${attributes.length} attributes, ${extensions.length} extensions`;
  },
  isRefusal: (error) => error instanceof DerError,
};

const isKeyFault = (error: unknown): boolean =>
  error instanceof ProvisioningError &&
  (error.code === 'key-unsupported' || error.code === 'signature-invalid');

/** The device's public key out of Google's record. */
export const key: Door = {
  name: 'key',
  form: 'der',
  seeds: keySeeds.map(({ spki }) => spki),
  dictionary: [],
  generated: bytes,
  enter: (input) => algorithmOfKey(input).keyType,
  isRefusal: isKeyFault,
};

/** The device's signature over what we asked for. */
export const signature: Door = {
  name: 'signature',
  form: 'der',
  seeds: keySeeds.map((seed) => seed.signature),
  dictionary: [],
  generated: fc.oneof(bytes, fc.uint8Array({ minLength: 64, maxLength: 64 })),
  enter(input) {
    const seed = input.length === seeds.rsa.signature.length ? seeds.rsa : seeds.ec;
    verifySignature(seed.info, input, seed.spki);
    demand(equal(input, seed.signature), 'a forged signature is verified');
    return 'verified';
  },
  isRefusal: isKeyFault,
};
