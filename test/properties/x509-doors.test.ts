import { generateKeyPairSync, sign } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { ProvisioningError } from '../../src/errors.ts';
import {
  certificationRequest,
  certificationRequestInfo,
} from '../../src/possession/certification-request.ts';
import { readCertificationRequest } from '../../src/request/read-certification-request.ts';
import { algorithmOfKey, verifySignature } from '../../src/request/signature-algorithm.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { chainsTo } from '../../src/x509/chain.ts';
import { DerError } from '../../src/x509/der.ts';
import { parseName } from '../../src/x509/distinguished-name.ts';
import { decodePem, encodePem, PemError, readCertificates } from '../../src/x509/pem.ts';
import { makeCa, makeLeaf, newKeys, now } from '../support/test-certificates.ts';

/*
 * Whatever comes through these doors is read or refused with an error of the documented kind.
 */

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const spki = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
const info = certificationRequestInfo({
  subjectPublicKeyInfo: spki,
  wanted: {
    subject: parseName('CN=a,O=b'),
    subjectAltNames: [
      { type: 'dns', value: 'a.example' },
      { type: 'upn', value: 'a@b' },
    ],
    keyUsages: ['digitalSignature'],
    extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'],
    validityDays: 1,
  },
});
const signature = sign('sha256', info, privateKey);
const csr = certificationRequest(info, 'ec', signature);

let certificate: Uint8Array;
let root: Uint8Array;

beforeAll(async () => {
  const ca = await makeCa({ pathLength: 1 });
  root = ca.der;
  certificate = await makeLeaf(ca, {
    keys: await newKeys(),
    extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'],
    subjectAltNames: [
      { type: 'dns', value: 'a' },
      { type: 'upn', value: 'b' },
      { type: 'ip', value: '10.0.0.1' },
    ],
  });
});

/** Bytes changed, cut out or put in at some places. */
function damaged(bytes: () => Uint8Array): fc.Arbitrary<Uint8Array> {
  const change = fc.record({
    at: fc.nat({ max: 2000 }),
    remove: fc.nat({ max: 3 }),
    put: fc.uint8Array({ maxLength: 3 }),
  });
  return fc.array(change, { minLength: 1, maxLength: 3 }).map((changes) => {
    let result: number[] = [...bytes()];
    for (const { at, remove, put } of changes) {
      const place = at % result.length;
      result = [...result.slice(0, place), ...put, ...result.slice(place + remove)];
    }
    return Uint8Array.from(result);
  });
}

const runs = { numRuns: 2000 };

function readsOrThrows(read: () => unknown, kind: new (...given: never[]) => Error): void {
  try {
    read();
  } catch (error) {
    expect(error).toBeInstanceOf(kind);
    if (kind === Error) expect(String(error)).toMatch(/^Error: /);
  }
}

describe('damaged or random bytes', () => {
  it('as a certificate', () => {
    const any = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      damaged(() => certificate),
    );
    fc.assert(
      fc.property(any, (der) => readsOrThrows(() => readCertificate(der), Error)),
      runs,
    );
  });

  it('as a certificate never chain to the root unless they are the certificate', () => {
    fc.assert(
      fc.property(
        damaged(() => certificate),
        (der) => {
          const { trusted } = chainsTo(der, [], [root], now);
          expect(trusted).toBe(Buffer.compare(der, certificate) === 0);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('as a request never verify unless they are the request', () => {
    fc.assert(
      fc.property(
        damaged(() => csr),
        (der) => {
          readsOrThrows(() => {
            const { verified } = readCertificationRequest(der);
            expect(verified).toBe(Buffer.compare(der, csr) === 0);
          }, DerError);
        },
      ),
      runs,
    );
  });

  it('as a key', () => {
    const any = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      damaged(() => spki),
    );
    fc.assert(
      fc.property(any, (der) => readsOrThrows(() => algorithmOfKey(der), ProvisioningError)),
      runs,
    );
  });

  it('as a signature', () => {
    const any = fc.oneof(
      fc.uint8Array({ maxLength: 80 }),
      fc.uint8Array({ minLength: 64, maxLength: 64 }),
      damaged(() => signature),
    );
    fc.assert(
      fc.property(any, (bytes) => {
        readsOrThrows(() => {
          verifySignature(info, bytes, spki);
          expect(Buffer.compare(bytes, signature)).toBe(0);
        }, ProvisioningError);
      }),
      runs,
    );
  });

  it('as PEM', () => {
    const text = encodePem('CERTIFICATE', csr);
    const any = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      damaged(() => Buffer.from(text + text)),
      damaged(() => csr),
    );
    fc.assert(
      fc.property(any, (bytes) => {
        readsOrThrows(() => readCertificates(bytes), PemError);
        readsOrThrows(() => decodePem(Buffer.from(bytes).toString()), PemError);
      }),
      runs,
    );
  });
});

it('bytes of any length survive PEM', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (der) => {
      expect(decodePem(encodePem('X', der))).toEqual([{ label: 'X', der }]);
    }),
  );
});
