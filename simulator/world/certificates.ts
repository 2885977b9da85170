import { createHash, generateKeyPairSync } from 'node:crypto';
import {
  authorityExtensions,
  endEntityExtensions,
  keyIdentifier,
  type Signer,
  signCertificate,
} from '../../adapters/local-ca/certificate.ts';
import type { IssueRequest } from '../../src/plug-in/certificate-authority.ts';
import type { RequestedCertificate } from '../../src/request/requested-certificate.ts';
import { encodeName } from '../../src/x509/distinguished-name.ts';
import { startOfTime } from './scheduler.ts';

/** What a certificate looks like; all but the first two must never reach a device. */
export type Cut =
  | 'good'
  | 'with-chain'
  | 'other-key'
  | 'is-ca'
  | 'expired'
  | 'short'
  | 'wrong-names'
  | 'chain-first'
  | 'garbage';

const dayMs = 86_400_000;

interface Made {
  readonly signer: Signer;
  readonly der: Uint8Array;
}

let made: Made | undefined;

export function authority(): Made {
  if (made !== undefined) return made;
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
  const name = encodeName([[{ type: '2.5.4.3', value: 'The CA of this world' }]]);
  const signer: Signer = { name, keyIdentifier: keyIdentifier(spki), key: privateKey };
  const der = signCertificate(
    {
      serialNumber: Uint8Array.of(1),
      subject: name,
      subjectPublicKeyInfo: spki,
      notBefore: startOfTime - 365 * dayMs,
      notAfter: startOfTime + 3_650 * dayMs,
      extensions: authorityExtensions(0),
    },
    signer,
  );
  made = { signer, der };
  return made;
}

const certificates = new Map<string, Uint8Array>();
const mostCertificates = 20_000;

/** The same order, number and cut give the same bytes in every history of a run: made once. */
export function certificate(request: IssueRequest, cut: Cut, number: number): Uint8Array {
  if (cut === 'garbage') return Buffer.from(`garbage ${request.requestId} ${number}`);
  const spki = Buffer.from(request.subjectPublicKeyInfo).toString('base64');
  const name = `${request.requestId} ${number} ${cut} ${spki} ${JSON.stringify(request.wanted)}`;
  const known = certificates.get(name);
  if (known !== undefined) return known;
  const der = cutCertificate(request, cut, number);
  if (certificates.size < mostCertificates) certificates.set(name, der);
  return der;
}

function cutCertificate(request: IssueRequest, cut: Cut, number: number): Uint8Array {
  const digest = createHash('sha256').update(`${request.requestId} ${number}`).digest();
  const serialNumber = Uint8Array.of(1, ...digest.subarray(0, 15));
  const wanted: RequestedCertificate =
    cut === 'wrong-names'
      ? { ...request.wanted, subject: [[{ type: '2.5.4.3', value: 'RA account' }]] }
      : request.wanted;
  const lifeMs = cut === 'short' ? dayMs / 2 : 365 * dayMs;
  const expired = cut === 'expired';
  return signCertificate(
    {
      serialNumber,
      subject: encodeName(wanted.subject),
      subjectPublicKeyInfo: cut === 'other-key' ? strangersKey() : request.subjectPublicKeyInfo,
      notBefore: startOfTime - (expired ? 400 : 1) * dayMs,
      notAfter: startOfTime + (expired ? -35 * dayMs : lifeMs),
      extensions: cut === 'is-ca' ? authorityExtensions(0) : endEntityExtensions(wanted),
    },
    authority().signer,
  );
}

let stranger: Uint8Array | undefined;

function strangersKey(): Uint8Array {
  stranger ??= new Uint8Array(
    generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
      type: 'spki',
      format: 'der',
    }),
  );
  return stranger;
}
