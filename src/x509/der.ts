/*
 * DER (X.690), as much as certificates and requests need. It is written by hand for two reasons: a schema library
 * costs a third of a millisecond for each structure, and it reads BER, while the bytes that are checked and signed
 * here must have exactly one reading. Tests hold it against such a library and against openssl.
 */

export const tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  numericString: 0x12,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  universalString: 0x1c,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

/** The tag byte of `[number]` in the context class. */
export function contextTag(number: number, form: 'primitive' | 'constructed'): number {
  return 0x80 | number | (form === 'constructed' ? 0x20 : 0);
}

/** The bytes are not the DER that they should be. */
export class DerError extends Error {
  override readonly name = 'DerError';
}

/** One encoded value. All three are views of the bytes it was read from. */
export interface DerElement {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Tag, length and content. */
  readonly bytes: Uint8Array;
}

/** Most elements are looked at in one way only, so each view is made when it is asked for. */
class ViewedElement implements DerElement {
  readonly tag: number;
  readonly #whole: Uint8Array;
  readonly #start: number;
  readonly #contentAt: number;
  readonly #end: number;

  constructor(whole: Uint8Array, start: number, contentAt: number, end: number) {
    this.tag = whole[start] ?? 0;
    this.#whole = whole;
    this.#start = start;
    this.#contentAt = contentAt;
    this.#end = end;
  }

  get content(): Uint8Array {
    return this.#whole.subarray(this.#contentAt, this.#end);
  }

  get bytes(): Uint8Array {
    return this.#whole.subarray(this.#start, this.#end);
  }
}

/** Reads the elements of one constructed value, or of a whole input, one after the other. */
export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  readonly #start: number;
  readonly #end: number;
  #at: number;

  /** `what` names the structure in errors; `start` and `end` say where in the bytes it is. */
  constructor(bytes: Uint8Array, what: string, start = 0, end = bytes.length) {
    // A plain view: a Buffer's slices would be Buffers, and compare unlike other byte arrays.
    this.#bytes =
      bytes instanceof Buffer
        ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
        : bytes;
    this.#what = what;
    this.#start = start;
    this.#at = start;
    this.#end = end;
  }

  get done(): boolean {
    return this.#at >= this.#end;
  }

  /** The next element's tag; undefined at the end. */
  peek(): number | undefined {
    return this.done ? undefined : this.#bytes[this.#at];
  }

  /** @throws {DerError} when there is none, or one with another tag. */
  next(expected?: number): DerElement {
    const start = this.#at;
    const contentAt = this.#skip(expected);
    return new ViewedElement(this.#bytes, start, contentAt, this.#at);
  }

  /** Skips the next element; returns where its content begins. */
  #skip(expected: number | undefined): number {
    const bytes = this.#bytes;
    const start = this.#at;
    const found = bytes[start];
    const first = bytes[start + 1];
    if (start + 1 >= this.#end || found === undefined || first === undefined) {
      throw this.#error('ends too early');
    }
    if ((found & 0x1f) === 0x1f) throw this.#error('has a tag of several bytes');
    if (expected !== undefined && found !== expected) {
      throw this.#error(`has tag ${hexByte(found)} where ${hexByte(expected)} belongs`);
    }
    let length = first;
    let contentAt = start + 2;
    if (first >= 0x80) {
      const count = first & 0x7f;
      if (count === 0) throw this.#error('has an indefinite length, which DER does not allow');
      if (count > 4) throw this.#error('has a length that is too large');
      length = 0;
      // Bytes behind its end cannot make it fit.
      for (let i = 0; i < count; i++) length = length * 256 + (bytes[contentAt + i] ?? 0);
      contentAt += count;
      if (length < 0x80 || length < 256 ** (count - 1)) {
        throw this.#error('has a length that is not encoded in its shortest form');
      }
    }
    const end = contentAt + length;
    if (end > this.#end) throw this.#error('ends too early');
    this.#at = end;
    return contentAt;
  }

  /** The next element when it has this tag. */
  optional(expected: number): DerElement | undefined {
    return this.peek() === expected ? this.next(expected) : undefined;
  }

  /** Goes into the next element, which is a SEQUENCE unless another tag is given. */
  into(what: string, expected: number = tag.sequence): DerReader {
    const contentAt = this.#skip(expected);
    return new DerReader(this.#bytes, what, contentAt, this.#at);
  }

  /** @throws {DerError} when anything is left. */
  finish(): void {
    if (!this.done) {
      throw this.#error(`has ${this.#end - this.#at} bytes after its end`);
    }
  }

  #error(problem: string): DerError {
    return new DerError(`${this.#what} ${problem} (at byte ${this.#at - this.#start})`);
  }
}

/** The one element that `bytes` is, with nothing after it. */
export function readSingle(bytes: Uint8Array, expected: number, what: string): DerElement {
  const reader = new DerReader(bytes, what);
  const element = reader.next(expected);
  reader.finish();
  return element;
}

/** The same, gone into. */
export function readInside(
  bytes: Uint8Array,
  what: string,
  expected: number = tag.sequence,
): DerReader {
  const reader = new DerReader(bytes, what);
  const inside = reader.into(what, expected);
  reader.finish();
  return inside;
}

function hexByte(byte: number): string {
  return `0x${byte.toString(16).padStart(2, '0')}`;
}

/** Far more than any identifier in use has; an arc of a megabyte would take hours to convert. */
const longestOid = 256;

/** An OBJECT IDENTIFIER in dots. */
export function readOid(element: DerElement): string {
  const { content } = element;
  if (content.length > longestOid) throw new DerError('An object identifier is too long');
  if (content.length === 0 || ((content.at(-1) ?? 0) & 0x80) !== 0) {
    throw new DerError('An object identifier is cut off');
  }
  let arcs = '';
  let start = 0;
  for (let i = 0; i < content.length; i++) {
    if (i === start && content[i] === 0x80) {
      throw new DerError('An object identifier is not encoded in its shortest form');
    }
    if (((content[i] ?? 0) & 0x80) !== 0) continue;
    const arc = base128(content, start, i);
    if (start > 0) arcs += `.${arc}`;
    else if (arc < 80) arcs = `${Math.floor(Number(arc) / 40)}.${Number(arc) % 40}`;
    else arcs = `2.${typeof arc === 'bigint' ? arc - 80n : arc - 80}`;
    start = i + 1;
  }
  return arcs;
}

/** Seven digits of seven bits still fit a double; arcs made from UUIDs (2.25.…) do not. */
function base128(content: Uint8Array, from: number, last: number): number | bigint {
  if (last - from < 7) {
    let sum = 0;
    for (let i = from; i <= last; i++) sum = sum * 128 + ((content[i] ?? 0) & 0x7f);
    return sum;
  }
  return content
    .subarray(from, last + 1)
    .reduce((sum, byte) => (sum << 7n) | BigInt(byte & 0x7f), 0n);
}

/** A BOOLEAN: DER knows only 00 and FF. */
export function readBoolean(element: DerElement): boolean {
  const [byte] = element.content;
  if (element.content.length !== 1 || (byte !== 0x00 && byte !== 0xff)) {
    throw new DerError('A BOOLEAN is neither 00 nor FF');
  }
  return byte === 0xff;
}

/** An INTEGER's content in two's complement, checked to be the shortest form. */
export function readInteger(element: DerElement): Uint8Array {
  const { content } = element;
  const [first, second] = content;
  if (first === undefined) throw new DerError('An INTEGER is empty');
  if (second !== undefined && (first === 0x00 ? second < 0x80 : first === 0xff && second >= 0x80)) {
    throw new DerError('An INTEGER is not encoded in its shortest form');
  }
  return content;
}

/** A non-negative INTEGER without its sign byte, most significant byte first. */
export function readUnsigned(element: DerElement): Uint8Array {
  const content = readInteger(element);
  if ((content[0] ?? 0) >= 0x80) throw new DerError('An INTEGER is negative');
  return content.length > 1 && content[0] === 0 ? content.subarray(1) : content;
}

/** A small non-negative INTEGER. */
export function readSmallInteger(element: DerElement): number {
  const bytes = readUnsigned(element);
  if (bytes.length > 4) throw new DerError('An INTEGER is larger than expected');
  return bytes.reduce((sum, byte) => sum * 256 + byte, 0);
}

/** A BIT STRING of whole bytes, as keys and signatures are. */
export function readBitString(element: DerElement): Uint8Array {
  if (element.content[0] !== 0) throw new DerError('A BIT STRING does not consist of whole bytes');
  return element.content.subarray(1);
}

/** UTCTime or GeneralizedTime in the forms of RFC 5280 4.1.2.5, as milliseconds since the epoch. */
export function readTime(element: DerElement): number {
  const text = Buffer.from(element.content).toString('latin1');
  let full: string;
  if (element.tag === tag.utcTime && /^\d{12}Z$/.test(text)) {
    full = (Number(text.slice(0, 2)) >= 50 ? '19' : '20') + text;
  } else if (element.tag === tag.generalizedTime && /^\d{14}Z$/.test(text)) full = text;
  else throw new DerError('A time is not in the form that RFC 5280 4.1.2.5 demands');
  const part = (from: number, to: number) => full.slice(from, to);
  const iso = `${part(0, 4)}-${part(4, 6)}-${part(6, 8)}T${part(8, 10)}:${part(10, 12)}:${part(12, 14)}.000Z`;
  const time = Date.parse(iso);
  // Date.parse makes March 2nd of February 30th.
  if (Number.isNaN(time) || new Date(time).toISOString() !== iso) {
    throw new DerError('A time is not a date of the calendar');
  }
  return time;
}
