import { X509Certificate } from 'node:crypto';
import { constants } from 'node:fs';
import { access, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Clock } from '../src/clock.ts';
import { ProvisioningError } from '../src/errors.ts';
import {
  type AuthorityFeatures,
  type CertificateAuthority,
  defineAdapter,
  type Issuance,
  type IssueRequest,
  type RevocationReason,
} from '../src/issue/certificate-authority.ts';
import { DerError } from '../src/x509/der.ts';
import { encodeName, NameError } from '../src/x509/distinguished-name.ts';
import { encodePem } from '../src/x509/pem.ts';
import { endEntityExtensions, signCertificate } from './local-ca/certificate.ts';
import {
  type Hierarchy,
  newSerialNumber,
  openHierarchy,
  writeDurably,
} from './local-ca/hierarchy.ts';
import { Ledger, type LedgerEntry } from './local-ca/ledger.ts';
import { signRevocationList } from './local-ca/revocation-list.ts';
import { requestProblem } from './shared/verify-request.ts';

/*
 * A CA of two levels in a directory: for trying out, for tests, and for small networks that trust one
 * machine. Every certificate is written to the ledger under its requestId before it is given out, so a
 * repeated order, also after a crash or from another process, gets the same one.
 */

const options = z.strictObject({
  directory: z
    .string()
    .min(1)
    .default('./data/local-ca')
    .describe(
      'Where the CA lives: root.pem, issuing.pem, their keys, ledger.db and crl.pem. Made at the first start.',
    ),
  keyType: z
    .enum(['ec', 'rsa'])
    .default('ec')
    .describe('The keys of the root and the issuing CA: `ec` is P-256, `rsa` has 3072 bits.'),
  name: z
    .string()
    .trim()
    .min(1)
    .max(56)
    .default('certprov local CA')
    .describe('Begins the common names of the root (“… Root”) and the issuing CA (“… Issuing”).'),
});

export default defineAdapter({
  kind: 'local-ca',
  // It signs in this process, and orders of the same moment share one write to its ledger.
  concurrency: 64,
  options,
  async connect({ directory, keyType, name }, context, signal) {
    signal.throwIfAborted();
    const path = context.resolvePath(directory);
    await makeDirectory(path);
    const ledger = new Ledger(join(path, 'ledger.db'));
    try {
      const hierarchy = openHierarchy(path, { keyType, name }, ledger, context.clock.now());
      return new LocalCa(path, hierarchy, ledger, context.clock);
    } catch (error) {
      ledger[Symbol.dispose]();
      throw error;
    }
  },
});

const dayMs = 24 * 3_600_000;
/** A certificate begins this long ago, for devices whose clocks lag. */
const backdatedMs = 5 * 60_000;
/** How long a CRL is good, and after how long it is made anew. */
const crlLifeMs = 7 * dayMs;
const crlRenewalMs = crlLifeMs / 2;
/** Certificates written in one transaction. */
const mostPerTransaction = 500;

interface Waiting {
  readonly entry: LedgerEntry;
  readonly request: IssueRequest;
  readonly signal: AbortSignal;
  readonly resolve: (issuance: Issuance) => void;
  readonly reject: (reason: unknown) => void;
}

class LocalCa implements CertificateAuthority {
  readonly kind = 'local-ca';
  readonly features: AuthorityFeatures = {
    idempotent: true,
    pending: false,
    revoke: true,
    keyTypes: ['rsa', 'ec'],
    mayDrop: [],
  };
  readonly #directory: string;
  readonly #hierarchy: Hierarchy;
  readonly #ledger: Ledger;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  readonly #renewal: Promise<void>;
  #waiting: Waiting[] = [];
  /** What went wrong when the CRL was last to be renewed. */
  #crlProblem: unknown;

  constructor(directory: string, hierarchy: Hierarchy, ledger: Ledger, clock: Clock) {
    this.#directory = directory;
    this.#hierarchy = hierarchy;
    this.#ledger = ledger;
    this.#clock = clock;
    this.#ledger.exclusively(() => this.#publishRevocations());
    this.#ledger.serve();
    this.#renewal = this.#renewRevocations();
  }

  async check(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#refuseWhenExpired();
    try {
      await access(this.#directory, constants.R_OK | constants.W_OK | constants.X_OK);
    } catch (error) {
      throw directoryProblem(this.#directory, error);
    }
    this.#ledger.isEmpty();
    if (this.#crlProblem !== undefined) throw this.#crlProblem;
  }

  async issue(request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
    signal.throwIfAborted();
    const earlier = this.#ledger.find(request.requestId);
    if (earlier !== undefined) return this.#repeated(earlier, request);
    const problem = requestProblem(request);
    if (problem !== undefined) return { kind: 'rejected', reason: problem };
    this.#refuseWhenExpired();
    let entry: LedgerEntry;
    try {
      entry = this.#sign(request);
    } catch (error) {
      if (!(error instanceof NameError || error instanceof DerError)) throw error;
      return { kind: 'rejected', reason: `The names cannot be certified: ${error.message}` };
    }
    return new Promise((resolve, reject) => {
      // Whatever is ordered before the event loop comes round shares one transaction and one fsync.
      if (this.#waiting.length === 0) setImmediate(() => this.#write());
      this.#waiting.push({ entry, request, signal, resolve, reject });
      if (this.#waiting.length === mostPerTransaction) this.#write();
    });
  }

  async collect(): Promise<Issuance> {
    throw new ProvisioningError(
      'ca-misconfigured',
      'A local CA leaves no order pending. Was the kind of this authority changed while orders were open?',
    );
  }

  async revoke(
    certificate: Uint8Array,
    reason: RevocationReason,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted();
    const serial = new X509Certificate(certificate).serialNumber;
    this.#ledger.exclusively(() => {
      if (!this.#ledger.has(serial)) {
        throw new ProvisioningError(
          'ca-misconfigured',
          `The certificate ${serial} is not in the ledger of ${this.#directory}. Was it issued by another CA?`,
        );
      }
      const revoked = this.#ledger.revoke(serial, reason, this.#clock.now());
      if (revoked) this.#publishRevocations();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#renewal;
    this.#write();
    this.#ledger[Symbol.dispose]();
  }

  #sign(request: IssueRequest): LedgerEntry {
    const { wanted, subjectPublicKeyInfo, requestId } = request;
    const issuedAt = this.#clock.now();
    const askedUntil = issuedAt + wanted.validityDays * dayMs;
    const expiresAt = Math.min(askedUntil, this.#hierarchy.notAfter);
    const serialNumber = newSerialNumber();
    const certificate = signCertificate(
      {
        serialNumber,
        subject: encodeName(wanted.subject),
        subjectPublicKeyInfo,
        notBefore: issuedAt - backdatedMs,
        notAfter: expiresAt,
        extensions: endEntityExtensions(wanted),
      },
      this.#hierarchy.signer,
    );
    const serial = serialNumber.toString('hex').toUpperCase();
    return { requestId, serial, certificate, issuedAt, expiresAt };
  }

  /** Writes what waits; what was aborted meanwhile is not issued. */
  #write(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    const wanted = waiting.filter(({ signal, reject }) => {
      if (signal.aborted) reject(signal.reason);
      return !signal.aborted;
    });
    if (wanted.length === 0) return;
    try {
      const certificates = this.#ledger.record(wanted.map(({ entry }) => entry));
      for (const [index, { entry, request, resolve }] of wanted.entries()) {
        const certificate = certificates[index] ?? entry.certificate;
        const isOurs = certificate === entry.certificate;
        resolve(isOurs ? this.#issued(certificate) : this.#repeated(certificate, request));
      }
    } catch (error) {
      for (const { reject } of wanted) reject(error);
    }
  }

  #issued(certificate: Uint8Array): Issuance {
    return { kind: 'issued', certificate, chain: [this.#hierarchy.issuing] };
  }

  #repeated(certificate: Uint8Array, request: IssueRequest): Issuance {
    const key = new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' });
    if (key.equals(request.subjectPublicKeyInfo)) return this.#issued(certificate);
    const reason = `The request id ${request.requestId} was used for another key before.`;
    return { kind: 'rejected', reason };
  }

  #refuseWhenExpired(): void {
    const { notAfter } = this.#hierarchy;
    if (this.#clock.now() < notAfter) return;
    throw new ProvisioningError(
      'ca-misconfigured',
      `The CA in ${this.#directory} expired on ${new Date(notAfter).toISOString()}. Start a new one in another directory and trust its root.`,
    );
  }

  /** Inside a transaction, so that lists appear in the order of their numbers. */
  #publishRevocations(): void {
    const now = this.#clock.now();
    const list = signRevocationList(
      {
        number: this.#ledger.nextRevocationListNumber(now),
        thisUpdate: now,
        nextUpdate: now + crlLifeMs,
        revoked: this.#ledger.revoked(now - crlLifeMs),
      },
      this.#hierarchy.signer,
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
      try {
        this.#ledger.exclusively(() => {
          const age = this.#clock.now() - this.#ledger.revocationListIssuedAt();
          if (age >= crlRenewalMs) this.#publishRevocations();
        });
        this.#crlProblem = undefined;
      } catch (error) {
        this.#crlProblem = error;
      }
    }
  }
}

async function makeDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw directoryProblem(directory, error);
  }
}

function directoryProblem(directory: string, cause: unknown): ProvisioningError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new ProvisioningError(
    'ca-misconfigured',
    `The directory ${directory} cannot be used: ${reason}. It must be writable by the service's user.`,
    { cause },
  );
}
