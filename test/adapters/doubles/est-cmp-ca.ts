import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import {
  authorityExtensions,
  endEntityExtensions,
  keyIdentifier,
  type Signer,
  signCertificate,
} from '../../../adapters/local-ca/certificate.ts';
import { newSerialNumber } from '../../../adapters/local-ca/hierarchy.ts';
import { readCertificationRequest } from '../../../src/request/read-certification-request.ts';
import type { KeyType, RequestedCertificate } from '../../../src/request/requested-certificate.ts';
import type { SubjectAltName } from '../../../src/x509/alt-name-form.ts';
import { tag } from '../../../src/x509/der.ts';
import { encodeName } from '../../../src/x509/distinguished-name.ts';
import { encode } from '../../../src/x509/encode-der.ts';
import type { Extension } from '../../../src/x509/extensions.ts';
import { encodePem } from '../../../src/x509/pem.ts';

const dayMs = 24 * 3_600_000;

export interface Credentials {
  /** DER. */
  readonly certificate: Uint8Array;
  readonly key: KeyObject;
  readonly certificatePem: string;
  readonly keyPem: string;
}

/** A root and an issuing CA in memory, for doubles of CA servers. */
export class DoubleCa {
  readonly root: Uint8Array;
  readonly issuing: Uint8Array;
  readonly signer: Signer & { readonly key: KeyObject };

  constructor(keyType: KeyType = 'ec') {
    const root = authority(keyType, 'Double Root');
    const issuing = authority(keyType, 'Double Issuing');
    this.signer = issuing.signer;
    const make = (who: typeof root, signer: Signer, pathLength: number) =>
      certificate(who.signer.name, who.spki, authorityExtensions(pathLength), signer);
    this.root = make(root, root.signer, 1);
    this.issuing = make(issuing, root.signer, 0);
  }

  /** What a request asks for, certified whole. Throws for what is no CSR, or one that was not signed by its key. */
  certify(csr: Uint8Array): Uint8Array {
    const facts = readCertificationRequest(csr);
    if (!facts.verified) throw new Error('the CSR is not signed by its key');
    const wanted = {
      ...facts,
      subjectAltNames: facts.subjectAltNames.filter(
        (name): name is SubjectAltName => name.type !== 'other',
      ),
      validityDays: 90,
    } as unknown as RequestedCertificate;
    return certificate(
      encodeName(facts.subject),
      facts.subjectPublicKeyInfo,
      endEntityExtensions(wanted),
      this.signer,
    );
  }

  /** A key and a certificate for a TLS server of this one name. */
  serverCredentials(name: string, until?: number): Credentials {
    return this.credentials('ec', name, ['1.3.6.1.5.5.7.3.1'], [name], until);
  }

  /** A key and a certificate for a server or a registration authority. */
  credentials(
    keyType: KeyType,
    name: string,
    extendedKeyUsages: readonly string[],
    hosts: readonly string[] = ['localhost', name],
    until?: number,
  ): Credentials {
    const { publicKey, privateKey: key } = keyOf(keyType, name);
    const wanted: RequestedCertificate = {
      subject: [[{ type: '2.5.4.3', value: name }]],
      subjectAltNames: hosts.map((value) => ({ type: 'dns', value })),
      keyUsages: ['digitalSignature'],
      extendedKeyUsages,
      validityDays: 90,
    };
    const spki = publicKey.export({ type: 'spki', format: 'der' });
    const own = certificate(
      encodeName(wanted.subject),
      spki,
      endEntityExtensions(wanted),
      this.signer,
      until,
    );
    return {
      certificate: own,
      key,
      certificatePem: encodePem('CERTIFICATE', own) + encodePem('CERTIFICATE', this.issuing),
      keyPem: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    };
  }
}

const rsaKeys = new Map<string, ReturnType<typeof newKey>>();

/** RSA keys are dear: there is one for each name and test file. EC keys are always new. */
function keyOf(keyType: KeyType, name: string) {
  if (keyType === 'ec') return newKey(keyType);
  const key = rsaKeys.get(name) ?? newKey(keyType);
  rsaKeys.set(name, key);
  return key;
}

function newKey(keyType: KeyType) {
  return keyType === 'rsa'
    ? generateKeyPairSync('rsa', { modulusLength: 2048 })
    : generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

function authority(keyType: KeyType, commonName: string) {
  const { publicKey, privateKey: key } = newKey(keyType);
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const name = encodeName([[{ type: '2.5.4.3', value: commonName }]]);
  return { spki, signer: { name, key, keyIdentifier: keyIdentifier(spki) } };
}

function certificate(
  subject: Uint8Array,
  subjectPublicKeyInfo: Uint8Array,
  extensions: readonly Extension[],
  signer: Signer,
  until?: number,
): Uint8Array {
  const now = Date.now();
  return signCertificate(
    {
      serialNumber: newSerialNumber(),
      subject,
      subjectPublicKeyInfo,
      notBefore: now - dayMs,
      notAfter: until ?? now + 90 * dayMs,
      extensions,
    },
    signer,
  );
}

/** INTEGER of one byte. */
export function small(value: number): Uint8Array {
  return encode(tag.integer, Uint8Array.of(value & 0xff));
}
