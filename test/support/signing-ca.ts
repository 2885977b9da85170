import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import {
  authorityExtensions,
  endEntityExtensions,
  keyIdentifier,
  type Signer,
  signCertificate,
} from '../../adapters/local-ca/certificate.ts';
import { newSerialNumber } from '../../adapters/local-ca/hierarchy.ts';
import { publicKeyOf } from '../../adapters/local-ca/signing-key.ts';
import { readCertificationRequest } from '../../src/request/read-certification-request.ts';
import type { RequestedCertificate } from '../../src/request/requested-certificate.ts';
import type { SubjectAltName } from '../../src/x509/alt-name-form.ts';
import { encodeName } from '../../src/x509/distinguished-name.ts';
import { encodePem } from '../../src/x509/pem.ts';

const dayMs = 86_400_000;

/** A root and an issuing CA in memory: what a double signs with. */
export class SigningCa {
  /** DER. */
  readonly root: Uint8Array;
  /** DER. */
  readonly issuing: Uint8Array;
  readonly #signer: Signer;

  constructor(organization: string) {
    const root = newSigner(organization, 'Root');
    this.#signer = newSigner(organization, 'Issuing');
    this.root = authority(root, root, 1);
    this.issuing = authority(this.#signer, root, 0);
  }

  /** A key and its certificate for a TLS client, PEM. */
  clientCertificate(): { readonly certificate: string; readonly key: string } {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const der = signCertificate(
      {
        serialNumber: newSerialNumber(),
        subject: encodeName([[{ type: '2.5.4.3', value: 'client' }]]),
        subjectPublicKeyInfo: createPublicKey(privateKey).export({ type: 'spki', format: 'der' }),
        notBefore: Date.now() - 30_000,
        notAfter: Date.now() + dayMs,
        extensions: [],
      },
      this.#signer,
    );
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    return { certificate: encodePem('CERTIFICATE', der), key };
  }

  /** An end-entity certificate for a CSR, DER: its names and usages, except what `instead` says. */
  sign(csr: Uint8Array, instead: Partial<RequestedCertificate> = {}): Uint8Array {
    const facts = readCertificationRequest(csr);
    const wanted: RequestedCertificate = {
      subject: facts.subject,
      subjectAltNames: facts.subjectAltNames.filter(isRequestable),
      keyUsages: facts.keyUsages as RequestedCertificate['keyUsages'],
      extendedKeyUsages: facts.extendedKeyUsages,
      validityDays: 365,
      ...instead,
    };
    return signCertificate(
      {
        serialNumber: newSerialNumber(),
        subject: encodeName(wanted.subject),
        subjectPublicKeyInfo: facts.subjectPublicKeyInfo,
        notBefore: Date.now() - 30_000,
        notAfter: Date.now() + wanted.validityDays * dayMs,
        extensions: endEntityExtensions(wanted),
      },
      this.#signer,
    );
  }
}

function isRequestable(name: { readonly type: string }): name is SubjectAltName {
  return ['dns', 'email', 'upn', 'uri'].includes(name.type);
}

function newSigner(organization: string, name: string): Signer {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  const subject = [
    [{ type: '2.5.4.10', value: organization }],
    [{ type: '2.5.4.3', value: `${organization} ${name}` }],
  ];
  return { name: encodeName(subject), keyIdentifier: keyIdentifier(spki), key: privateKey };
}

function authority(of: Signer, by: Signer, pathLength: number): Uint8Array {
  const now = Date.now();
  return signCertificate(
    {
      serialNumber: newSerialNumber(),
      subject: of.name,
      subjectPublicKeyInfo: publicKeyOf(of.key),
      notBefore: now - dayMs,
      notAfter: now + 3_650 * dayMs,
      extensions: authorityExtensions(pathLength),
    },
    by,
  );
}
