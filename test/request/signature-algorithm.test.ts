import {
  createECDH,
  createHash,
  createSign,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ProvisioningError } from '../../src/errors.ts';
import { algorithmOfKey, verifySignature } from '../../src/request/signature-algorithm.ts';
import { tag } from '../../src/x509/der.ts';
import { encode, encodeBitString, encodeOid, encodeUnsigned } from '../../src/x509/encode-der.ts';

const spkiOf = (key: KeyObject) => new Uint8Array(key.export({ type: 'spki', format: 'der' }));
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const rsaKey = spkiOf(rsa.publicKey);
const ecKey = spkiOf(ec.publicKey);
const data = Buffer.from('to be signed');

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof ProvisioningError) return error.code;
    throw error;
  }
  return 'no error';
}

/** An RSA key info with the given modulus and exponent. */
function rsaInfo(modulus: Uint8Array, exponent: Uint8Array, parameters = encode(tag.null)) {
  return encode(
    tag.sequence,
    encode(tag.sequence, encodeOid('1.2.840.113549.1.1.1'), parameters),
    encodeBitString(encode(tag.sequence, encodeUnsigned(modulus), encodeUnsigned(exponent))),
  );
}

const odd = (length: number) => new Uint8Array(length).fill(0xff);
const f4 = Uint8Array.of(1, 0, 1);

/**
 * A good signature whose DER happens to have 64 bytes, as that of bare r and s always has. They are far too
 * rare to wait for, so s is chosen (26 or 25 bytes) and the private key is computed from it:
 * s = (z + r d) / k, hence d = (s k - z) / r (modulo the order of the group).
 */
function derSignatureOf64Bytes(signed: Uint8Array): { signature: Uint8Array; key: Uint8Array } {
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const number = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
  const bytes32 = (value: bigint) => Buffer.from(value.toString(16).padStart(64, '0'), 'hex');
  const pointOf = (secret: bigint) => {
    const curve = createECDH('prime256v1');
    curve.setPrivateKey(bytes32(secret));
    return new Uint8Array(curve.getPublicKey());
  };
  const modulo = (value: bigint) => ((value % order) + order) % order;
  const inverse = (value: bigint) => {
    let power = 1n;
    for (let base = value, rest = order - 2n; rest > 0n; rest >>= 1n) {
      if (rest & 1n) power = (power * base) % order;
      base = (base * base) % order;
    }
    return power;
  };
  const k = 0x123456789abcdefn;
  const r = number(pointOf(k).subarray(1, 33));
  const rDer = encodeUnsigned(bytes32(r));
  const s = (1n << BigInt(8 * (64 - 2 - rDer.length - 2) - 2)) + 1n;
  const z = number(createHash('sha256').update(signed).digest());
  const d = modulo((s * k - z) * inverse(r));
  const info = encode(
    tag.sequence,
    encode(tag.sequence, encodeOid('1.2.840.10045.2.1'), encodeOid('1.2.840.10045.3.1.7')),
    encodeBitString(pointOf(d)),
  );
  return { signature: encode(tag.sequence, rDer, encodeUnsigned(bytes32(s))), key: info };
}

describe('algorithmOfKey', () => {
  it('knows RSA and P-256, with the identifiers of the RFCs', () => {
    expect(algorithmOfKey(rsaKey)).toMatchObject({
      keyType: 'rsa',
      google: 'SIGNATURE_ALGORITHM_RSA_PKCS1_V1_5_SHA256',
    });
    expect(algorithmOfKey(ecKey)).toMatchObject({
      keyType: 'ec',
      google: 'SIGNATURE_ALGORITHM_ECDSA_SHA256',
    });
    const hex = (key: Uint8Array) => Buffer.from(algorithmOfKey(key).identifier).toString('hex');
    expect(hex(rsaKey)).toBe('300d06092a864886f70d01010b0500');
    expect(hex(ecKey)).toBe('300a06082a8648ce3d040302');
  });

  it('takes RSA from 2048 to 8192 bits', () => {
    expect(algorithmOfKey(rsaInfo(odd(256), f4)).keyType).toBe('rsa');
    expect(algorithmOfKey(rsaInfo(odd(1024), Uint8Array.of(3))).keyType).toBe('rsa');
  });

  const p384 = spkiOf(generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey);
  const compressed = encode(
    tag.sequence,
    encode(tag.sequence, encodeOid('1.2.840.10045.2.1'), encodeOid('1.2.840.10045.3.1.7')),
    encodeBitString(Buffer.concat([Buffer.of(2), ecKey.subarray(-64, -32)])),
  );
  it.each([
    ['RSA of 1024 bits', spkiOf(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey)],
    ['RSA of 2047 bits', rsaInfo(Uint8Array.of(0x7f, ...odd(255)), f4)],
    ['RSA beyond 8192 bits', rsaInfo(odd(1025), f4)],
    ['an even modulus', rsaInfo(Uint8Array.of(...odd(255), 0xfe), f4)],
    ['an exponent of 1', rsaInfo(odd(256), Uint8Array.of(1))],
    ['an even exponent', rsaInfo(odd(256), Uint8Array.of(2))],
    ['an exponent of 0', rsaInfo(odd(256), Uint8Array.of(0))],
    ['a huge exponent', rsaInfo(odd(256), odd(9))],
    ['RSA without NULL', rsaInfo(odd(256), f4, new Uint8Array())],
    ['RSA-PSS', spkiOf(generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).publicKey)],
    ['Ed25519', spkiOf(generateKeyPairSync('ed25519').publicKey)],
    ['P-384', p384],
    ['a compressed point', compressed],
    ['a byte behind the key', Buffer.concat([rsaKey, Buffer.of(0)])],
    ['a key cut off', ecKey.slice(0, -1)],
    ['nothing', new Uint8Array()],
    ['text', Buffer.from('key')],
  ])('refuses %s', (_, key) => {
    expect(codeOf(() => algorithmOfKey(key))).toBe('key-unsupported');
  });

  it('says what is wrong', () => {
    expect(() => algorithmOfKey(p384)).toThrow('an EC key of another curve than P-256');
  });
});

describe('verifySignature', () => {
  it('accepts Google’s own sample', () => {
    const text = readFileSync(
      new URL('../fixtures/sign-data-sample.json', import.meta.url),
      'utf8',
    );
    const process = JSON.parse(text).succeeded.response.certificateProvisioningProcess;
    const bytes = (field: string) => Buffer.from(process[field], 'base64');
    const verified = verifySignature(
      bytes('signData'),
      bytes('signature'),
      bytes('subjectPublicKeyInfo'),
    );
    expect(Buffer.from(verified)).toEqual(bytes('signature'));
  });

  it('accepts RSA PKCS#1 v1.5', () => {
    const signature = sign('sha256', data, rsa.privateKey);
    expect(verifySignature(data, signature, rsaKey)).toBe(signature);
  });

  it('leaves an EC signature in DER as it is', () => {
    const signature = sign('sha256', data, ec.privateKey);
    expect(verifySignature(data, signature, ecKey)).toBe(signature);
  });

  it('turns bare r and s into DER, also where leading bytes are zero or high', () => {
    for (let i = 0; i < 64; i++) {
      const raw = sign('sha256', data, { key: ec.privateKey, dsaEncoding: 'ieee-p1363' });
      const der = verifySignature(data, raw, ecKey);
      expect(der[0]).toBe(0x30);
      expect(verifySignature(data, der, ecKey)).toBe(der);
    }
  });

  it('is not misled by DER of 64 bytes', () => {
    const { signature, key } = derSignatureOf64Bytes(data);
    expect(signature).toHaveLength(64);
    expect(verifySignature(data, signature, key)).toBe(signature);
  });

  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const ecSignature = sign('sha256', data, ec.privateKey);
  const raw = sign('sha256', data, { key: ec.privateKey, dsaEncoding: 'ieee-p1363' });

  it.each([
    ['nothing', new Uint8Array(), ecKey],
    ['another key’s', sign('sha256', data, other.privateKey), ecKey],
    ['another hash', sign('sha384', data, ec.privateKey), ecKey],
    ['other data', sign('sha256', Buffer.from('x'), ec.privateKey), ecKey],
    ['DER with a byte behind it', Buffer.concat([ecSignature, Buffer.of(0)]), ecKey],
    ['r and s swapped', Buffer.concat([raw.subarray(32), raw.subarray(0, 32)]), ecKey],
    ['zeros', new Uint8Array(64), ecKey],
    ['RSA for an EC key', sign('sha256', data, rsa.privateKey), ecKey],
    ['EC for an RSA key', ecSignature, rsaKey],
    [
      'RSA-PSS',
      createSign('sha256').update(data).sign({ key: rsa.privateKey, padding: 6 }),
      rsaKey,
    ],
    ['RSA with SHA-1', sign('sha1', data, rsa.privateKey), rsaKey],
    ['too much', new Uint8Array(5000), rsaKey],
  ])('refuses %s', (_, signature, key) => {
    expect(codeOf(() => verifySignature(data, signature, key))).toBe('signature-invalid');
  });

  const offCurve = ecKey.slice();
  offCurve[offCurve.length - 1] = (offCurve.at(-1) ?? 0) ^ 1;

  it.each([
    ['that is not served', new Uint8Array(3), ecSignature],
    ['whose point is off the curve', offCurve, ecSignature],
    ['whose point is off the curve, with bare r and s', offCurve, raw],
  ])('refuses a key %s', (_, key, signature) => {
    expect(codeOf(() => verifySignature(data, signature, key))).toBe('key-unsupported');
  });
});
