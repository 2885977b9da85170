/*
 * What a SCEP server says it can do (GetCACaps, RFC 8894 3.5.2), and the algorithms that follow from it. We
 * send AES or triple DES only; replies are read in single DES too, because step-ca and micromdm answer in it
 * whatever they were asked in.
 */

export interface Cipher {
  readonly oid: string;
  /** OpenSSL's name. */
  readonly name: string;
  readonly keyBytes: number;
  readonly ivBytes: number;
  /** It comes with a mac (RFC 5084). */
  readonly authenticates?: true;
}

const aes128 = { oid: '2.16.840.1.101.3.4.1.2', name: 'aes-128-cbc', keyBytes: 16, ivBytes: 16 };
const tripleDes = { oid: '1.2.840.113549.3.7', name: 'des-ede3-cbc', keyBytes: 24, ivBytes: 8 };

/** Content encryption that is read (RFC 3370 5.1, RFC 3565 4.1, RFC 5084 3, RFC 8018 B.2). */
const ciphers: readonly Cipher[] = [
  aes128,
  { oid: '2.16.840.1.101.3.4.1.22', name: 'aes-192-cbc', keyBytes: 24, ivBytes: 16 },
  { oid: '2.16.840.1.101.3.4.1.42', name: 'aes-256-cbc', keyBytes: 32, ivBytes: 16 },
  gcm('2.16.840.1.101.3.4.1.6', 16),
  gcm('2.16.840.1.101.3.4.1.26', 24),
  gcm('2.16.840.1.101.3.4.1.46', 32),
  tripleDes,
  // Its key is a third of triple DES's: OpenSSL 3 has no des-cbc without its legacy provider.
  { oid: '1.3.14.3.2.7', name: 'des-ede3-cbc', keyBytes: 8, ivBytes: 8 },
];

function gcm(oid: string, keyBytes: number): Cipher {
  return { oid, name: `aes-${keyBytes * 8}-gcm`, keyBytes, ivBytes: 12, authenticates: true };
}

export function cipherOf(oid: string): Cipher | undefined {
  return ciphers.find((cipher) => cipher.oid === oid);
}

export type DigestName = 'sha1' | 'sha256' | 'sha384' | 'sha512';

/** RFC 3370 2.1, RFC 5754 2. */
const digestOids: Readonly<Record<DigestName, string>> = {
  sha1: '1.3.14.3.2.26',
  sha256: '2.16.840.1.101.3.4.2.1',
  sha384: '2.16.840.1.101.3.4.2.2',
  sha512: '2.16.840.1.101.3.4.2.3',
};

export function oidOfDigest(name: DigestName): string {
  return digestOids[name];
}

const digestNames: ReadonlyMap<string, DigestName> = new Map([
  [digestOids.sha1, 'sha1'],
  [digestOids.sha256, 'sha256'],
  [digestOids.sha384, 'sha384'],
  [digestOids.sha512, 'sha512'],
]);

export function digestOf(oid: string): DigestName | undefined {
  return digestNames.get(oid);
}

/** How messages are sent to one server. */
export interface MessageOptions {
  readonly cipher: Cipher;
  readonly digest: DigestName;
  readonly post: boolean;
}

/** Lines in any case and with any line break; SCEPStandard stands for AES, SHA-256 and POST. */
export function messageOptionsOf(capabilities: string): MessageOptions {
  const said = new Set(capabilities.split(/[\r\n]+/).map((line) => line.trim().toLowerCase()));
  const standard = said.has('scepstandard');
  const digest =
    standard || said.has('sha-256') ? 'sha256' : said.has('sha-512') ? 'sha512' : 'sha1';
  return {
    cipher: standard || said.has('aes') ? aes128 : tripleDes,
    digest,
    post: standard || said.has('postpkioperation'),
  };
}
