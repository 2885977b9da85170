import { X509Certificate } from 'node:crypto';
import { constants, existsSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
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
import { encodePem } from '../../src/x509/pem.ts';
import { requestProblem } from '../shared/verify-request.ts';
import { endEntityExtensions, type Signer, signCertificateSoon } from './certificate.ts';
import { writeDurably } from './durable-file.ts';
import { fingerprintOf, type Hierarchy, newSerialNumber } from './hierarchy.ts';
import type { Ledger, LedgerEntry } from './ledger.ts';
import { signRevocationList } from './revocation-list.ts';
import { signatureSoon } from './signing-key.ts';

const dayMs = 24 * 3_600_000;
/** A certificate begins this long ago, for devices whose clocks lag. */
const backdatedMs = 5 * 60_000;
/** How long a CRL is good, and after how long it is made anew. */
const crlLifeMs = 7 * dayMs;
const crlRenewalMs = crlLifeMs / 2;
/** What check() signs to see that the key is there; nobody can take it for a certificate or a CRL. */
const checkedData = Buffer.from('certprov looks whether its CA can sign');
/** Certificates written in one transaction. */
const mostPerTransaction = 500;

interface LocalCaParts {
  readonly directory: string;
  /** Loads the CA, or makes it; called until it succeeds. */
  readonly open: () => Hierarchy;
  readonly ledger: Ledger;
  readonly clock: Clock;
  /** Let go of at the end, as the ledger is. */
  readonly keys: AsyncDisposable;
}

interface Waiting {
  readonly entry: LedgerEntry;
  readonly request: IssueRequest;
  readonly authority: Hierarchy;
  readonly signal: AbortSignal;
  readonly resolve: (issuance: Issuance) => void;
  readonly reject: (reason: unknown) => void;
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
  readonly #closing = new AbortController();
  #hierarchy: Hierarchy | undefined;
  #renewal: Promise<void> | undefined;
  readonly #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  /** What went wrong when the CRL was last to be renewed. */
  #crlProblem: unknown;

  constructor({ directory, open, ledger, clock, keys }: LocalCaParts) {
    this.#directory = directory;
    this.#open = open;
    this.#ledger = ledger;
    this.#clock = clock;
    this.#keys = keys;
  }

  /**
   * Opens the CA and publishes its CRL, and keeps it fresh until the CA is closed.
   *
   * @throws what opening throws; unless the CA is closed then, it is tried again whenever it is needed.
   */
  begin(): void {
    this.#renewal = this.#renewRevocations();
    try {
      const { signer } = this.#authority();
      this.#ledger.exclusively(() => this.#publishRevocations(signer));
    } catch (error) {
      this.#crlProblem = error;
      throw error;
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
    if (!existsSync(join(this.#directory, 'crl.pem'))) {
      this.#ledger.exclusively(() => this.#publishRevocations(authority.signer));
    }
    await signatureSoon(checkedData, authority.signer.key, signal);
    if (this.#crlProblem !== undefined) this.#renewRevocationsNow();
    if (this.#crlProblem !== undefined) throw this.#crlProblem;
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
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entry, request, authority, signal, resolve, reject });
      this.#writing ??= this.#writeWaiting();
    });
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
      if (revoked) this.#publishRevocations(signer);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#renewal;
    await this.#writing;
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

  /** What is ordered before the event loop comes round, or while the disk is busy, shares one transaction. */
  async #writeWaiting(): Promise<void> {
    await setImmediate();
    while (this.#waiting.length > 0) {
      await this.#write(this.#waiting.splice(0, mostPerTransaction));
    }
    this.#writing = undefined;
  }

  /** What was aborted meanwhile is not issued. Never rejects. */
  async #write(waiting: readonly Waiting[]): Promise<void> {
    const wanted = waiting.filter(({ signal, reject }) => {
      if (signal.aborted) reject(signal.reason);
      return !signal.aborted;
    });
    if (wanted.length === 0) return;
    try {
      const certificates = await this.#ledger.record(wanted.map(({ entry }) => entry));
      for (const [index, { entry, request, authority, resolve }] of wanted.entries()) {
        const certificate = certificates[index] ?? entry.certificate;
        const isOurs = certificate === entry.certificate;
        resolve(
          isOurs ? issued(certificate, authority) : repeated(certificate, request, authority),
        );
      }
    } catch (error) {
      for (const { reject } of wanted) reject(error);
    }
  }

  #refuseWhenExpired({ notAfter }: Hierarchy): void {
    if (this.#clock.now() < notAfter) return;
    throw new ProvisioningError(
      'ca-misconfigured',
      `The CA in ${this.#directory} expired on ${new Date(notAfter).toISOString()}. Start a new one in another directory and trust its root.`,
    );
  }

  /** Inside a transaction, so that lists appear in the order of their numbers. */
  #publishRevocations(signer: Signer): void {
    const now = this.#clock.now();
    const list = signRevocationList(
      {
        number: this.#ledger.nextRevocationListNumber(now),
        thisUpdate: now,
        nextUpdate: now + crlLifeMs,
        revoked: this.#ledger.revoked(now - crlLifeMs),
      },
      signer,
    );
    writeDurably(join(this.#directory, 'crl.pem'), encodePem('X509 CRL', list), 0o644);
  }

  /** Ends when the CA is closed; what fails is shown by check() and tried again. */
  async #renewRevocations(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const interrupted = await this.#clock.sleep(crlRenewalMs / 12, signal).then(
        () => false,
        () => true, // Closed.
      );
      if (interrupted) return;
      this.#renewRevocationsNow();
    }
  }

  #renewRevocationsNow(): void {
    try {
      const { signer } = this.#authority();
      this.#ledger.exclusively(() => {
        const age = this.#clock.now() - this.#ledger.revocationListIssuedAt();
        if (age >= crlRenewalMs) this.#publishRevocations(signer);
      });
      this.#crlProblem = undefined;
    } catch (error) {
      this.#crlProblem = error;
    }
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
