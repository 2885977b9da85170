import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import type { CsrAdditions } from '../src/plug-in/certificate-authority.ts';
import {
  certificationRequest,
  certificationRequestInfo,
} from '../src/possession/certification-request.ts';
import type { KeyType, RequestedCertificate } from '../src/request/requested-certificate.ts';

/** A device's key pair, and what the device does with it: sign bytes that somebody else made. */
export class DeviceKey {
  readonly keyType: KeyType;
  /** DER. */
  readonly subjectPublicKeyInfo: Uint8Array;
  readonly #privateKey: KeyObject;

  /** RSA with 2048 bits, or EC P-256, as devices have them. */
  constructor(keyType: KeyType) {
    const { publicKey, privateKey } =
      keyType === 'rsa'
        ? generateKeyPairSync('rsa', { modulusLength: 2048 })
        : generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.keyType = keyType;
    this.subjectPublicKeyInfo = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
    this.#privateKey = privateKey;
  }

  /** PKCS#1 v1.5 or ECDSA (DER), with SHA-256. */
  sign(data: Uint8Array): Uint8Array {
    return new Uint8Array(sign('sha256', data, this.#privateKey));
  }

  /** A PKCS#10 CertificationRequest, DER. */
  request(wanted: RequestedCertificate, additions: CsrAdditions = {}): Uint8Array {
    const { keyType, subjectPublicKeyInfo } = this;
    const info = certificationRequestInfo({ subjectPublicKeyInfo, wanted, additions });
    return certificationRequest(info, keyType, this.sign(info));
  }
}
