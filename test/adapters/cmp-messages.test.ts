import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  encodeCertConfirm,
  readCertResponse,
  readPollResponse,
  readRevocationResponse,
} from '../../adapters/cmp/content.ts';
import { newMac } from '../../adapters/cmp/mac.ts';
import {
  decodeMessage,
  encodeBody,
  encodeHeader,
  encodeMessage,
  protectedPart,
} from '../../adapters/cmp/message.ts';
import { readErrorMessage } from '../../adapters/cmp/status.ts';
import { DeviceKey } from '../../conformance/device-key.ts';
import { DerError, tag } from '../../src/x509/der.ts';
import { encode } from '../../src/x509/encode-der.ts';
import { DoubleCa } from './doubles/est-cmp-ca.ts';

const nobody = encode(tag.sequence);

async function message(): Promise<Uint8Array> {
  const mac = newMac('pbm', 'secret', 100);
  const header = encodeHeader({
    pvno: 2,
    sender: nobody,
    recipient: nobody,
    messageTime: Date.UTC(2026, 0, 2, 3, 4, 5),
    protectionAlgorithm: mac.algorithm,
    senderKeyId: Buffer.from('reference'),
    transactionId: Buffer.alloc(16, 1),
    senderNonce: Buffer.alloc(16, 2),
    recipNonce: Buffer.alloc(16, 3),
    generalInfo: [],
  });
  const body = encodeBody(19, encode(tag.null));
  const protection = await mac.compute(protectedPart(header, body));
  return encodeMessage(header, body, protection, [new DoubleCa().root]);
}

function onlyDerErrors(read: (bytes: Uint8Array) => unknown, bytes: Uint8Array): void {
  try {
    read(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(DerError);
  }
}

describe('a PKIMessage', () => {
  it('is read as it was written', async () => {
    const der = await message();
    const read = decodeMessage(der);
    expect(read).toMatchObject({ type: 19, infoTypes: [] });
    expect(Buffer.from(read.transactionId ?? [])).toEqual(Buffer.alloc(16, 1));
    expect(Buffer.from(read.senderNonce ?? [])).toEqual(Buffer.alloc(16, 2));
    expect(Buffer.from(read.recipNonce ?? [])).toEqual(Buffer.alloc(16, 3));
    expect(read.extraCerts).toHaveLength(1);
  });

  it('that is cut off or changed somewhere is read, or refused as no DER: nothing else', async () => {
    const der = await message();
    for (let length = 0; length < der.length; length++) {
      expect(() => decodeMessage(der.subarray(0, length))).toThrow(DerError);
    }
    const changes = fc.array(fc.tuple(fc.nat(der.length - 1), fc.nat(255)), { maxLength: 4 });
    fc.assert(
      fc.property(changes, (given) => {
        const changed = Buffer.from(der);
        for (const [at, byte] of given) changed[at] = byte;
        onlyDerErrors(decodeMessage, changed);
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([readCertResponse, readPollResponse, readRevocationResponse, readErrorMessage])(
    'whose content is anything is refused as no DER (%o)',
    (read) => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => onlyDerErrors(read, bytes)),
      );
    },
  );
});

describe('a confirmation', () => {
  it.each(['rsa', 'ec'] as const)('hashes as the certificate’s signature does (%s)', (keyType) => {
    const key = new DeviceKey('ec');
    const wanted = {
      subject: [[{ type: '2.5.4.3', value: 'device' }]],
      subjectAltNames: [],
      keyUsages: [],
      extendedKeyUsages: [],
      validityDays: 1,
    };
    const leaf = new DoubleCa(keyType).certify(key.request(wanted));
    const { content, pvno } = encodeCertConfirm(leaf, -1);
    expect(pvno).toBe(2);
    // SEQUENCE { SEQUENCE { OCTET STRING of 32, INTEGER -1, SEQUENCE { INTEGER 0 } } }
    expect(Buffer.from(content).toString('hex')).toMatch(
      /^302c302a0420[0-9a-f]{64}0201ff3003020100$/,
    );
  });

  it('names its hash where the signature implies none', () => {
    const algorithm = encode(tag.sequence, Uint8Array.of(tag.oid, 2, 0x2a, 0x03));
    const certificate = encode(tag.sequence, nobody, algorithm);
    const { content, pvno } = encodeCertConfirm(certificate, 0);
    expect(pvno).toBe(3);
    expect(Buffer.from(content).toString('hex')).toContain('a00d300b0609608648016503040201');
  });
});
