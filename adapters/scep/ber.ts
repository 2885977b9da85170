import { DerError, tag } from '../../src/x509/der.ts';
import { encode } from '../../src/x509/encode-der.ts';

/*
 * CMS may be BER (RFC 5652 2), and servers that stream do use it: lengths that are not given, strings in
 * pieces. It is turned into DER once, at the door, so that everything behind reads the one strict form.
 * What is DER already comes out as it went in, so signed parts keep their bytes.
 */

/** Deeper than any certificate in an envelope in a message. */
const mostDepth = 40;
/** A certificate has about a hundred. */
const mostElements = 20_000;
const constructedOctetString = tag.octetString | 0x20;
const maxLengthBytes = 4;

/** @throws {DerError} when it is not one whole BER element. */
export function berToDer(ber: Uint8Array): Uint8Array {
  const reader = new BerReader(ber);
  const der = reader.next(0);
  if (reader.at !== ber.length) throw new DerError('The message has bytes after its end');
  return der;
}

class BerReader {
  at = 0;
  readonly #bytes: Uint8Array;
  #elements = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  next(depth: number): Uint8Array {
    if (depth > mostDepth) throw new DerError('The message is nested too deeply');
    this.#elements += 1;
    if (this.#elements > mostElements) throw new DerError('The message has too many elements');
    const start = this.at;
    const found = this.#byte();
    if ((found & 0x1f) === 0x1f) throw new DerError('The message has a tag of several bytes');
    const length = this.#length();
    const constructed = (found & 0x20) !== 0;
    if (length === undefined && !constructed) {
      throw new DerError('The message has a primitive value without a length');
    }
    const end = length === undefined ? undefined : this.at + length;
    if (end !== undefined && end > this.#bytes.length) {
      throw new DerError(`The message ends too early (at byte ${start})`);
    }
    if (!constructed) {
      const content = this.#bytes.subarray(this.at, end);
      this.at += content.length;
      return encode(found, content);
    }
    const parts = this.#parts(end, depth);
    return found === constructedOctetString
      ? encode(tag.octetString, ...parts.map(contentOfPiece))
      : encode(found, ...parts);
  }

  #parts(end: number | undefined, depth: number): Uint8Array[] {
    const parts: Uint8Array[] = [];
    for (;;) {
      if (end === undefined) {
        if (this.#bytes[this.at] === 0 && this.#bytes[this.at + 1] === 0) {
          this.at += 2;
          return parts;
        }
      } else if (this.at >= end) {
        if (this.at > end) throw new DerError('The message has a value that is too long');
        return parts;
      }
      parts.push(this.next(depth + 1));
    }
  }

  /** Undefined: it goes on until the end-of-contents octets (X.690 8.1.3.6). */
  #length(): number | undefined {
    const first = this.#byte();
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count === 0) return undefined;
    if (count > maxLengthBytes) throw new DerError('The message has a length that is too large');
    let length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + this.#byte();
    return length;
  }

  #byte(): number {
    const byte = this.#bytes[this.at];
    if (byte === undefined) throw new DerError(`The message ends too early (at byte ${this.at})`);
    this.at += 1;
    return byte;
  }
}

/** A piece of a string in pieces; it was made DER already. */
export function contentOfPiece(piece: Uint8Array): Uint8Array {
  if (piece[0] !== tag.octetString) throw new DerError('A string has a piece that is none');
  const first = piece[1] ?? 0;
  return piece.subarray(first < 0x80 ? 2 : 2 + (first & 0x7f));
}
