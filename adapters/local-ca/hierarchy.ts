import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  X509Certificate,
} from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { ProvisioningError } from '../../src/errors.ts';
import type { KeyType } from '../../src/issue/certificate-authority.ts';
import { encodeName } from '../../src/x509/distinguished-name.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { authorityExtensions, keyIdentifier, type Signer, signCertificate } from './certificate.ts';
import type { Ledger } from './ledger.ts';

const dayMs = 24 * 3_600_000;
const rootDays = 20 * 365;
const issuingDays = 10 * 365;
/** A device's clock may lag: nothing begins at this very moment. */
const backdatedMs = dayMs;
const rsaBits = 3072;

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
  ledger: Ledger,
  now: number,
): Hierarchy {
  return ledger.exclusively(() => {
    if (!existsSync(join(directory, 'issuing.pem'))) make(directory, options, ledger, now);
    return load(directory, options);
  });
}

function make(directory: string, options: HierarchyOptions, ledger: Ledger, now: number): void {
  if (!ledger.isEmpty()) {
    throw new ProvisioningError(
      'ca-misconfigured',
      `${directory} has a ledger of issued certificates but no issuing.pem. Restore the file from a backup, or choose an empty directory.`,
    );
  }
  const rootKey = keyFrom(join(directory, 'root-key.pem'), options.keyType);
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
  const issuingKey = keyFrom(join(directory, 'issuing-key.pem'), options.keyType);
  makeCertificate(join(directory, 'issuing.pem'), {
    key: issuingKey,
    name: issuingName(options),
    pathLength: 0,
    notBefore: begin,
    notAfter: now + issuingDays * dayMs,
    signer: root,
  });
}

/** The key in the file; a new one, written there, when there is none. */
function keyFrom(file: string, keyType: KeyType): KeyObject {
  if (existsSync(file)) return readKey(file);
  const { privateKey } =
    keyType === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: rsaBits })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeDurably(file, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), 0o600);
  return privateKey;
}

interface AuthorityContent {
  readonly key: KeyObject;
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

/** The root's key is not needed any more: it may be kept elsewhere. */
function load(directory: string, options: HierarchyOptions): Hierarchy {
  const root = readCertificate(join(directory, 'root.pem'));
  const issuing = readCertificate(join(directory, 'issuing.pem'));
  const key = readKey(join(directory, 'issuing-key.pem'));
  const problem = problemOf(root, issuing, key, options);
  if (problem !== undefined) {
    throw new ProvisioningError(
      'ca-misconfigured',
      `${problem} Restore the files of ${directory}, choose another directory, or correct the options: they count when the CA is made and must stay as they were then.`,
    );
  }
  return {
    root: new Uint8Array(root.raw),
    issuing: new Uint8Array(issuing.raw),
    signer: signerOf(key, issuingName(options)),
    notAfter: Math.min(root.validToDate.getTime(), issuing.validToDate.getTime()),
  };
}

function problemOf(
  root: X509Certificate,
  issuing: X509Certificate,
  key: KeyObject,
  options: HierarchyOptions,
): string | undefined {
  if (!issuing.checkPrivateKey(key)) return 'issuing-key.pem is not the key of issuing.pem.';
  if (!issuing.verify(root.publicKey)) return 'issuing.pem was not issued by root.pem.';
  if (key.asymmetricKeyType !== options.keyType) {
    return `This CA has a key of type ${key.asymmetricKeyType}, but the options ask for ${options.keyType}.`;
  }
  if (!issuing.raw.includes(Buffer.from(issuingName(options)))) {
    return `This CA is not called "${options.name}": its name is ${JSON.stringify(issuing.subject)}.`;
  }
  return undefined;
}

function signerOf(key: KeyObject, name: Uint8Array): Signer {
  return { key, name, keyIdentifier: keyIdentifier(publicKeyOf(key)) };
}

function publicKeyOf(key: KeyObject): Uint8Array {
  return createPublicKey(key).export({ type: 'spki', format: 'der' });
}

function rootName({ name }: HierarchyOptions): Uint8Array {
  return encodeName([[{ type: '2.5.4.3', value: `${name} Root` }]]);
}

function issuingName({ name }: HierarchyOptions): Uint8Array {
  return encodeName([[{ type: '2.5.4.3', value: `${name} Issuing` }]]);
}

function readKey(file: string): KeyObject {
  return explained(file, () => createPrivateKey(readFileSync(file)));
}

function readCertificate(file: string): X509Certificate {
  return explained(file, () => new X509Certificate(readFileSync(file)));
}

/** Whole or not at all, and on the disk when it returns. One writer at a time: the ledger's lock is held. */
export function writeDurably(file: string, contents: string, mode: number): void {
  explained(file, () => {
    const unfinished = `${file}.new`;
    const descriptor = openSync(unfinished, 'w', mode);
    try {
      writeFileSync(descriptor, contents);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(unfinished, file);
    const directory = openSync(dirname(file), 'r');
    try {
      fsyncSync(directory);
    } finally {
      closeSync(directory);
    }
  });
}

function explained<Result>(file: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ProvisioningError('ca-misconfigured', `${file} cannot be used: ${reason}`, {
      cause: error,
    });
  }
}
