import type { X509Certificate } from 'node:crypto';
import type { SigningKey } from './signing-key.ts';

export type CaRole = 'root' | 'issuing';

/** Where a local CA's two private keys are. Synchronous: it works while the ledger's lock is held. */
export interface KeyStore extends AsyncDisposable {
  /** Whether it may be gone for a while, so that a start without it makes sense. */
  readonly mayBeAway: boolean;
  /** Files without which the issuing CA cannot sign: they must stay where they are. */
  readonly files: readonly string[];
  /** The key that was made for this directory earlier, perhaps before a crash; undefined when there is none. */
  made(role: CaRole): SigningKey | undefined;
  /** A new key, kept for good. */
  make(role: CaRole): SigningKey;
  /**
   * The issuing CA's key.
   *
   * @throws {ProvisioningError} `ca-misconfigured` when there is none that fits the certificate.
   */
  issuingKey(certificate: X509Certificate): SigningKey;
}
