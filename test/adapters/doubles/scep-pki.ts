import {
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  type webcrypto,
} from 'node:crypto';
import {
  authorityExtensions,
  keyIdentifier,
  signCertificate,
} from '../../../adapters/local-ca/certificate.ts';
import { tag } from '../../../src/x509/der.ts';
import { encodeName } from '../../../src/x509/distinguished-name.ts';
import { encode } from '../../../src/x509/encode-der.ts';
import {
  type Extension,
  extendedKeyUsageExtension,
  extensionOid,
  keyUsageExtension,
  subjectAltNameExtension,
} from '../../../src/x509/extensions.ts';
import { extendedKeyUsageOids } from '../../../src/x509/usages.ts';

/** A key and its certificate (DER). */
export interface Identity {
  readonly key: KeyObject;
  readonly certificate: Uint8Array;
}

/** A CA with two RA certificates, as NDES has them: one to encrypt to, one that signs. */
export interface ScepPki {
  readonly ca: Identity;
  readonly encryption: Identity;
  readonly signature: Identity;
  /** Of the same CA with these extensions, which are all it says of itself. The key is that of `tls`. */
  another(extensions: readonly Extension[]): Identity;
  /** Of another CA with the same name. */
  readonly stranger: Identity;
  /** For https://localhost. */
  readonly tls: Identity;
  issue(content: LeafContent): Uint8Array;
}

interface LeafContent {
  /** DER. */
  readonly subject: Uint8Array;
  readonly subjectPublicKeyInfo: Uint8Array;
  readonly extensions: readonly Extension[];
}

const dayMs = 86_400_000;
const caName = nameOf('SCEP double');
let made: ScepPki | undefined;

/** The same for all tests of a process: five RSA keys take a while. */
export function scepPki(): ScepPki {
  made ??= makePki();
  return made;
}

function makePki(): ScepPki {
  const ca = authority();
  const under = (name: string, extensions: readonly Extension[], key = rsaKey()): Identity => {
    const content = { subject: nameOf(name), subjectPublicKeyInfo: spki(key), extensions };
    return { key, certificate: certify(content, ca.key) };
  };
  const tls = under('localhost', [
    subjectAltNameExtension([{ type: 'dns', value: 'localhost' }], false),
    extendedKeyUsageExtension([extendedKeyUsageOids.serverAuth]),
  ]);
  // As NDES's templates have it: Enrollment Agent (Computer) and CEP Encryption.
  const agent = extendedKeyUsageExtension([extendedKeyUsageOids.certificateRequestAgent]);
  return {
    ca,
    encryption: under('RA encryption', [keyUsageExtension(['keyEncipherment']), agent]),
    signature: under('RA signature', [keyUsageExtension(['digitalSignature']), agent]),
    stranger: authority(),
    tls,
    another: (extensions) => under('another', extensions, tls.key),
    issue: (content) => certify(content, ca.key),
  };
}

function authority(): Identity {
  const key = rsaKey();
  const content = {
    subject: caName,
    subjectPublicKeyInfo: spki(key),
    extensions: authorityExtensions(0),
  };
  return { key, certificate: certify(content, key) };
}

/** Ninety days, whatever is asked for. */
function certify({ subject, subjectPublicKeyInfo, extensions }: LeafContent, key: KeyObject) {
  const serialNumber = randomBytes(16);
  serialNumber[0] = ((serialNumber[0] ?? 0) & 0x3f) | 0x40;
  const now = Date.now();
  const isCa = extensions.some(({ type }) => type === extensionOid.basicConstraints);
  const noCa = { type: extensionOid.basicConstraints, critical: true, value: encode(tag.sequence) };
  return signCertificate(
    {
      serialNumber,
      subject,
      subjectPublicKeyInfo,
      notBefore: now - 60_000,
      notAfter: now + 90 * dayMs,
      extensions: isCa ? extensions : [noCa, ...extensions],
    },
    { name: caName, keyIdentifier: keyIdentifier(spki(key)), key },
  );
}

function nameOf(commonName: string): Uint8Array {
  return encodeName([[{ type: '2.5.4.3', value: commonName }]]);
}

function rsaKey(): KeyObject {
  return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
}

function spki(key: KeyObject): Uint8Array {
  return new Uint8Array(createPublicKey(key).export({ type: 'spki', format: 'der' }));
}

export function signingKey({ key }: Identity): webcrypto.CryptoKey {
  return key.toCryptoKey({ name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }, false, ['sign']);
}
