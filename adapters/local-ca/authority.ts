import { X509Certificate } from 'node:crypto';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { ProvisioningError } from '../../src/errors.ts';
import type {
  AuthorityFeatures,
  CertificateAuthority,
  Issuance,
  IssueRequest,
  RevocationReason,
} from '../../src/plug-in/certificate-authority.ts';
import type { Clock } from '../../src/time/clock.ts';
import { DerError } from '../../src/x509/der.ts';
import { encodeName, NameError } from '../../src/x509/distinguished-name.ts';
import { requestProblem } from '../shared/verify-request.ts';
import { endEntityExtensions, signCertificateSoon } from './certificate.ts';
import { fingerprintOf, type Hierarchy, newSerialNumber } from './hierarchy.ts';
import type { Ledger, LedgerEntry } from './ledger.ts';
import { LedgerQueue } from './ledger-queue.ts';
import { PublishedList } from './published-list.ts';
import { signatureSoon } from './signing-key.ts';

const dayMs = 24 * 3_600_000;
/** A certificate begins this long ago, for devices whose clocks lag. */
const backdatedMs = 5 * 60_000;
/** What check() signs to see that the key is there; nobody can take it for a certificate or a CRL. */
const checkedData = Buffer.from('certprov looks whether its CA can sign');

interface LocalCaParts {
  readonly directory: string;
  /** Loads the CA, or makes it; called until it succeeds. */
  readonly open: () => Hierarchy;
  readonly ledger: Ledger;
  readonly clock: Clock;
  /** Let go of at the end, as the ledger is. */
  readonly keys: AsyncDisposable;
}

export class LocalCa implements CertificateAuthority {
  readonly kind = 'local-ca';
  readonly features: AuthorityFeatures = {
    idempotent: true,
    pending: false,
    revoke: true,
    keyTypes: ['rsa', 'ec'],
    mayDrop: [],
  };
  readonly #directory: string;
  readonly #open: () => Hierarchy;
  readonly #ledger: Ledger;
  readonly #clock: Clock;
  readonly #keys: AsyncDisposable;
  readonly #queue: LedgerQueue;
  readonly #list: PublishedList;
  #hierarchy: Hierarchy | undefined;

  constructor({ directory, open, ledger, clock, keys }: LocalCaParts) {
    this.#directory = directory;
    this.#open = open;
    this.#ledger = ledger;
    this.#clock = clock;
    this.#keys = keys;
    this.#queue = new LedgerQueue(ledger);
    const signer = () => this.#authority().signer;
    this.#list = new PublishedList({ directory, ledger, clock, signer });
  }

  /**
   * Opens the CA and publishes its CRL, and keeps it fresh until the CA is closed.
   *
   * @throws what opening throws; unless the CA is closed then, it is tried again whenever it is needed.
   */
  begin(): void {
    try {
      this.#list.begin();
    } finally {
      this.#ledger.serve();
    }
  }

  /** SHA-256, in hexadecimal as openssl prints it. */
  get rootFingerprint(): string {
    return fingerprintOf(this.#authority().root);
  }

  async check(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const authority = this.#authority();
    this.#refuseWhenExpired(authority);
    try {
      await access(this.#directory, constants.R_OK | constants.W_OK | constants.X_OK);
    } catch (error) {
      throw directoryProblem(this.#directory, error);
    }
    this.#ledger.isEmpty();
    this.#list.publishIfGone();
    await signatureSoon(checkedData, authority.signer.key, signal);
    this.#list.throwProblem();
  }

  async issue(request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
    signal.throwIfAborted();
    const authority = this.#authority();
    const earlier = await this.#ledger.find(request.requestId);
    if (earlier !== undefined) return repeated(earlier, request, authority);
    const problem = requestProblem(request);
    if (problem !== undefined) return { kind: 'rejected', reason: problem };
    this.#refuseWhenExpired(authority);
    let entry: LedgerEntry;
    try {
      entry = await this.#sign(request, authority, signal);
    } catch (error) {
      if (!(error instanceof NameError || error instanceof DerError)) throw error;
      return { kind: 'rejected', reason: `The names cannot be certified: ${error.message}` };
    }
    const kept = await this.#queue.record(entry, signal);
    return kept === entry.certificate
      ? issued(kept, authority)
      : repeated(kept, request, authority);
  }

  async revoke(
    certificate: Uint8Array,
    reason: RevocationReason,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted();
    const serial = new X509Certificate(certificate).serialNumber;
    const { signer } = this.#authority();
    this.#ledger.exclusively(() => {
      if (!this.#ledger.has(serial)) {
        throw new ProvisioningError(
          'ca-misconfigured',
          `The certificate ${serial} is not in the ledger of ${this.#directory}. Was it issued by another CA?`,
        );
      }
      const revoked = this.#ledger.revoke(serial, reason, this.#clock.now());
      if (revoked) this.#list.publish(signer);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#list[Symbol.asyncDispose]();
    await this.#queue.idle();
    await this.#keys[Symbol.asyncDispose]();
    this.#ledger[Symbol.dispose]();
  }

  #authority(): Hierarchy {
    this.#hierarchy ??= this.#open();
    const problem = this.#hierarchy.problem();
    if (problem !== undefined) {
      throw new ProvisioningError('ca-misconfigured', `The local CA cannot issue: ${problem}`);
    }
    return this.#hierarchy;
  }

  async #sign(
    request: IssueRequest,
    { notAfter, signer }: Hierarchy,
    signal: AbortSignal,
  ): Promise<LedgerEntry> {
    const { wanted, subjectPublicKeyInfo, requestId } = request;
    const issuedAt = this.#clock.now();
    const askedUntil = issuedAt + wanted.validityDays * dayMs;
    const expiresAt = Math.min(askedUntil, notAfter);
    const serialNumber = newSerialNumber();
    const certificate = await signCertificateSoon(
      {
        serialNumber,
        subject: encodeName(wanted.subject),
        subjectPublicKeyInfo,
        notBefore: issuedAt - backdatedMs,
        notAfter: expiresAt,
        extensions: endEntityExtensions(wanted),
      },
      signer,
      signal,
    );
    const serial = serialNumber.toString('hex').toUpperCase();
    return { requestId, serial, certificate, issuedAt, expiresAt };
  }

  #refuseWhenExpired({ notAfter }: Hierarchy): void {
    if (this.#clock.now() < notAfter) return;
    throw new ProvisioningError(
      'ca-misconfigured',
      `The CA in ${this.#directory} expired on ${new Date(notAfter).toISOString()}. Start a new one in another directory and trust its root.`,
    );
  }
}

function issued(certificate: Uint8Array, { issuing }: Hierarchy): Issuance {
  return { kind: 'issued', certificate, chain: [issuing] };
}

function repeated(certificate: Uint8Array, request: IssueRequest, authority: Hierarchy): Issuance {
  const key = new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' });
  if (key.equals(request.subjectPublicKeyInfo)) return issued(certificate, authority);
  const reason = `The request id ${request.requestId} was used for another key before.`;
  return { kind: 'rejected', reason };
}

export function directoryProblem(directory: string, cause: unknown): ProvisioningError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new ProvisioningError(
    'ca-misconfigured',
    `The directory ${directory} cannot be used: ${reason}. It must be writable by the service's user.`,
    { cause },
  );
}
