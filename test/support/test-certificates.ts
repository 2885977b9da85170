import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

/*
 * Certificates for tests, made by another library than the one that is tested.
 */

export const now = Date.UTC(2026, 0, 15);
export const dayMs = 24 * 3600 * 1000;

export { x509 };

export type KeyPair = webcrypto.CryptoKeyPair;

const p256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

export function newKeys(): Promise<KeyPair> {
  return webcrypto.subtle.generateKey(p256, true, ['sign', 'verify']);
}

export interface Authority {
  readonly name: string;
  readonly keys: KeyPair;
  readonly der: Uint8Array;
}

export interface CaOptions {
  readonly name?: string;
  readonly parent?: Authority;
  readonly keys?: KeyPair;
  readonly isCa?: boolean;
  readonly pathLength?: number;
  readonly keyUsage?: x509.KeyUsageFlags;
  readonly notBefore?: number;
  readonly notAfter?: number;
  readonly extensions?: readonly x509.Extension[];
}

export async function makeCa(options: CaOptions = {}): Promise<Authority> {
  const { name = 'CN=Test Root', parent, keys = await newKeys() } = options;
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: '01',
      subject: name,
      issuer: parent?.name ?? name,
      notBefore: new Date(options.notBefore ?? now - 365 * dayMs),
      notAfter: new Date(options.notAfter ?? now + 3650 * dayMs),
      publicKey: keys.publicKey,
      signingKey: (parent?.keys ?? keys).privateKey,
      signingAlgorithm: p256,
      extensions: [
        new x509.BasicConstraintsExtension(options.isCa ?? true, options.pathLength, true),
        new x509.KeyUsagesExtension(
          options.keyUsage ?? x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
          true,
        ),
        ...(options.extensions ?? []),
      ],
    },
    webcrypto,
  );
  return { name, keys, der: new Uint8Array(certificate.rawData) };
}

export interface LeafOptions {
  readonly keys: KeyPair;
  /** In the order of encoding. */
  readonly subject?: x509.JsonName;
  readonly notBefore?: number;
  readonly notAfter?: number;
  /** Undefined: no extension. */
  readonly keyUsage?: x509.KeyUsageFlags | undefined;
  readonly extendedKeyUsages?: readonly string[] | undefined;
  readonly subjectAltNames?: x509.JsonGeneralNames;
  readonly isCa?: boolean;
  readonly extensions?: readonly x509.Extension[];
  readonly serialNumber?: string;
}

export async function makeLeaf(authority: Authority, options: LeafOptions): Promise<Uint8Array> {
  const extensions: x509.Extension[] = [...(options.extensions ?? [])];
  if (options.isCa !== undefined) {
    extensions.push(new x509.BasicConstraintsExtension(options.isCa, undefined, true));
  }
  if (options.keyUsage !== undefined) {
    extensions.push(new x509.KeyUsagesExtension(options.keyUsage, true));
  }
  if (options.extendedKeyUsages !== undefined) {
    extensions.push(new x509.ExtendedKeyUsageExtension([...options.extendedKeyUsages]));
  }
  if (options.subjectAltNames !== undefined) {
    extensions.push(new x509.SubjectAlternativeNameExtension(options.subjectAltNames));
  }
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: options.serialNumber ?? '0a1b',
      subject: options.subject ?? [{ O: ['Example'] }, { CN: ['device-1'] }],
      issuer: authority.name,
      notBefore: new Date(options.notBefore ?? now - 60_000),
      notAfter: new Date(options.notAfter ?? now + 365 * dayMs),
      publicKey: options.keys.publicKey,
      signingKey: authority.keys.privateKey,
      signingAlgorithm: p256,
      extensions,
    },
    webcrypto,
  );
  return new Uint8Array(certificate.rawData);
}

export async function publicKeyInfo(keys: KeyPair): Promise<Uint8Array> {
  return new Uint8Array(await webcrypto.subtle.exportKey('spki', keys.publicKey));
}
