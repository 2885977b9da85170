import { type CertificateFacts, readCertificate, serialNumberOf } from '../x509/certificate.ts';

/** The end-entity certificate of a CA's answer. It is read once, when it is first asked what it says. */
export class Leaf {
  readonly der: Buffer;
  #facts: CertificateFacts | undefined;
  #problem: unknown;

  constructor(der: Uint8Array) {
    // A copy: what is uploaded is what was written down, whatever an adapter does with its bytes afterwards.
    this.der = Buffer.from(der);
  }

  /** @throws {Error} with a sentence, when it cannot be read. */
  get facts(): CertificateFacts {
    const facts = this.readable;
    if (facts === undefined) throw this.#problem;
    return facts;
  }

  /** Undefined when it cannot be read. */
  get readable(): CertificateFacts | undefined {
    if (this.#facts === undefined && this.#problem === undefined) {
      try {
        this.#facts = readCertificate(this.der);
      } catch (error) {
        this.#problem = error;
      }
    }
    return this.#facts;
  }

  /** For people, so also of one that cannot be read further. */
  get serialNumber(): string | undefined {
    if (this.readable !== undefined) return this.readable.serialNumber;
    try {
      return serialNumberOf(this.der);
    } catch {
      // There is none to be shown; what is wrong is told when the certificate is checked.
      return undefined;
    }
  }
}

interface Issued {
  /** DER in base64. */
  readonly certificate: string;
}

const leaves = new WeakMap<Issued, Leaf>();

/** The leaf of what is written down about a certificate: the very one that came, while that note is the same. */
export function leafOf(issued: Issued): Leaf {
  const leaf = leaves.get(issued) ?? new Leaf(Buffer.from(issued.certificate, 'base64'));
  leaves.set(issued, leaf);
  return leaf;
}

/** Makes {@link leafOf} answer with the leaf that a note was made of. */
export function noteLeaf(issued: Issued, leaf: Leaf): void {
  leaves.set(issued, leaf);
}
