import { randomBytes, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ProvisioningError } from '../../src/errors.ts';
import type { KeyType } from '../../src/request/requested-certificate.ts';
import { KeptFiles } from '../../src/watch/kept-files.ts';
import { encodeName } from '../../src/x509/distinguished-name.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { authorityExtensions, keyIdentifier, type Signer, signCertificate } from './certificate.ts';
import { explained, writeDurably } from './durable-file.ts';
import type { CaRole, KeyStore } from './key-store.ts';
import type { Ledger } from './ledger.ts';
import { publicKeyOf, type SigningKey } from './signing-key.ts';

const dayMs = 24 * 3_600_000;
const rootDays = 20 * 365;
const issuingDays = 10 * 365;
/** A device's clock may lag: nothing begins at this very moment. */
const backdatedMs = dayMs;

export interface HierarchyOptions {
  readonly keyType: KeyType;
  /** Begins both CAs' common names. */
  readonly name: string;
}

/** The root, and the CA below it that issues. */
export interface Hierarchy {
  /** DER. */
  readonly root: Uint8Array;
  /** DER. */
  readonly issuing: Uint8Array;
  readonly signer: Signer;
  /** When the first of the two begins to be invalid, in milliseconds since the epoch. */
  readonly notAfter: number;
  /** Whether the files that it was loaded from are still there and the same; what is wrong, as a sentence. */
  problem(): string | undefined;
}

/**
 * Loads both CAs from `directory`, or makes them there. A step at a time, each file complete or absent, the key
 * before its certificate: a crash leaves the beginning of the sequence and the next start goes on from there.
 * The ledger's lock keeps other processes out meanwhile.
 *
 * @throws {ProvisioningError} `ca-misconfigured` when files are missing, unreadable or do not fit together.
 */
export function openHierarchy(
  directory: string,
  options: HierarchyOptions,
  {
    keys,
    ledger,
    now,
    knownRoot,
  }: {
    keys: KeyStore;
    ledger: Ledger;
    now: number;
    /** The fingerprint of the root that was here before: no other one is made or taken. */
    knownRoot?: string | undefined;
  },
): Hierarchy {
  return ledger.exclusively(() => {
    if (!existsSync(join(directory, 'issuing.pem'))) {
      refuseOverLedger(directory, ledger);
      if (knownRoot !== undefined) throw anotherRoot(directory, knownRoot, 'is not there any more');
      make(directory, options, keys, now);
    }
    const loaded = load(directory, options, keys);
    if (knownRoot !== undefined && fingerprintOf(loaded.root) !== knownRoot) {
      throw anotherRoot(directory, knownRoot, 'was replaced by another one');
    }
    return loaded;
  });
}

/** SHA-256 of the DER, in hexadecimal as openssl prints it. */
export function fingerprintOf(certificate: Uint8Array): string {
  return new X509Certificate(certificate).fingerprint256;
}

/** Devices and servers trust the one root: a new one in its place would lock them all out. */
function anotherRoot(directory: string, known: string, what: string): ProvisioningError {
  return new ProvisioningError(
    'ca-misconfigured',
    `The journal knows the root of the local CA in ${directory} (SHA-256 ${known}), and it ${what}. Is the directory mounted? Restore it from a backup; for a new CA name another directory.`,
  );
}

function refuseOverLedger(directory: string, ledger: Ledger): void {
  if (!ledger.isEmpty()) {
    throw new ProvisioningError(
      'ca-misconfigured',
      `${directory} has a ledger of issued certificates but no issuing.pem. Restore the file from a backup, or choose an empty directory.`,
    );
  }
}

function make(directory: string, options: HierarchyOptions, keys: KeyStore, now: number): void {
  const rootKey = keys.made('root') ?? keys.make('root');
  const root: Signer = signerOf(rootKey, rootName(options));
  const begin = now - backdatedMs;
  makeCertificate(join(directory, 'root.pem'), {
    key: rootKey,
    name: root.name,
    pathLength: 1,
    notBefore: begin,
    notAfter: now + rootDays * dayMs,
    signer: root,
  });
  const issuingKey = keys.made('issuing') ?? keys.make('issuing');
  makeCertificate(join(directory, 'issuing.pem'), {
    key: issuingKey,
    name: issuingName(options),
    pathLength: 0,
    notBefore: begin,
    notAfter: now + issuingDays * dayMs,
    signer: root,
  });
}

interface AuthorityContent {
  readonly key: SigningKey;
  /** DER. */
  readonly name: Uint8Array;
  readonly pathLength: number;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly signer: Signer;
}

function makeCertificate(file: string, content: AuthorityContent): void {
  if (existsSync(file)) return;
  const certificate = signCertificate(
    {
      serialNumber: newSerialNumber(),
      subject: content.name,
      subjectPublicKeyInfo: publicKeyOf(content.key),
      notBefore: content.notBefore,
      notAfter: content.notAfter,
      extensions: authorityExtensions(content.pathLength),
    },
    content.signer,
  );
  writeDurably(file, encodePem('CERTIFICATE', certificate), 0o644);
}

/** 16 random octets that make a positive INTEGER of full length (RFC 5280 4.1.2.2). */
export function newSerialNumber(): Buffer {
  const octets = randomBytes(16);
  octets[0] = ((octets[0] ?? 0) & 0x3f) | 0x40;
  return octets;
}

function load(directory: string, options: HierarchyOptions, keys: KeyStore): Hierarchy {
  const root = readCertificate(join(directory, 'root.pem'));
  const issuing = readCertificate(join(directory, 'issuing.pem'));
  const problem = problemOf(root, issuing, options);
  if (problem !== undefined) {
    throw new ProvisioningError(
      'ca-misconfigured',
      `${problem} Restore the files of ${directory}, choose another directory, or correct the options: they count when the CA is made and must stay as they were then.`,
    );
  }
  const pair = [join(directory, 'root.pem'), join(directory, 'issuing.pem')];
  const files = new KeptFiles([], [...pair, ...keys.files]);
  return {
    root: new Uint8Array(root.raw),
    issuing: new Uint8Array(issuing.raw),
    signer: signerOf(keys.issuingKey(issuing), issuingName(options)),
    notAfter: Math.min(root.validToDate.getTime(), issuing.validToDate.getTime()),
    problem: () => files.problem(),
  };
}

function problemOf(
  root: X509Certificate,
  issuing: X509Certificate,
  options: HierarchyOptions,
): string | undefined {
  if (!issuing.verify(root.publicKey)) return 'issuing.pem was not issued by root.pem.';
  const keyType = issuing.publicKey.asymmetricKeyType;
  if (keyType !== options.keyType) {
    return `This CA has a key of type ${keyType}, but the options ask for ${options.keyType}.`;
  }
  if (!issuing.raw.includes(Buffer.from(issuingName(options)))) {
    return `This CA is not called "${options.name}": its name is ${JSON.stringify(issuing.subject)}.`;
  }
  return undefined;
}

function signerOf(key: SigningKey, name: Uint8Array): Signer {
  return { key, name, keyIdentifier: keyIdentifier(publicKeyOf(key)) };
}

function rootName({ name }: HierarchyOptions): Uint8Array {
  return encodeName([[{ type: '2.5.4.3', value: commonName(name, 'root') }]]);
}

function issuingName({ name }: HierarchyOptions): Uint8Array {
  return encodeName([[{ type: '2.5.4.3', value: commonName(name, 'issuing') }]]);
}

/** Of the CA's certificate; its key in a token is labelled the same. */
export function commonName(name: string, role: CaRole): string {
  return `${name} ${role === 'root' ? 'Root' : 'Issuing'}`;
}

function readCertificate(file: string): X509Certificate {
  return explained(file, () => new X509Certificate(readFileSync(file)));
}
