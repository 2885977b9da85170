import { DerError, tag } from './der.ts';

/* DER (X.690) written: what der.ts reads. */

/** One element from its contents, in their order. */
export function encode(elementTag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const content of contents) length += content.length;
  let lengthBytes = 0;
  if (length >= 0x80)
    for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) lengthBytes++;
  const bytes = new Uint8Array(2 + lengthBytes + length);
  bytes[0] = elementTag;
  bytes[1] = lengthBytes === 0 ? length : 0x80 | lengthBytes;
  for (let i = lengthBytes, rest = length; i > 0; i--, rest = Math.floor(rest / 256)) {
    bytes[1 + i] = rest % 256;
  }
  let at = 2 + lengthBytes;
  for (const content of contents) {
    bytes.set(content, at);
    at += content.length;
  }
  return bytes;
}

/** SET OF: DER orders the elements by their encodings (X.690 11.6). */
export function encodeSetOf(elements: readonly Uint8Array[], setTag: number = tag.set): Uint8Array {
  return encode(setTag, ...elements.toSorted(Buffer.compare));
}

/** The same few dozen identifiers are in every certificate; the others are not worth keeping. */
const encodedOids = new Map<string, Uint8Array>();
const mostEncodedOids = 256;

/**
 * The bytes are shared: nobody may change them.
 *
 * @throws {DerError} for what is not an object identifier in dots.
 */
export function encodeOid(dotted: string): Uint8Array {
  const known = encodedOids.get(dotted);
  if (known !== undefined) return known;
  const encoded = encodeNewOid(dotted);
  if (encodedOids.size < mostEncodedOids) encodedOids.set(dotted, encoded);
  return encoded;
}

function encodeNewOid(dotted: string): Uint8Array {
  if (!isOid(dotted)) throw new DerError(`“${dotted}” is not an object identifier in dots`);
  const [first, second, ...rest] = dotted.split('.').map(BigInt);
  const content: number[] = [];
  for (const arc of [(first ?? 0n) * 40n + (second ?? 0n), ...rest]) {
    const digits = [Number(arc & 0x7fn)];
    for (let left = arc >> 7n; left > 0n; left >>= 7n) digits.unshift(Number(left & 0x7fn) | 0x80);
    content.push(...digits);
  }
  return encode(tag.oid, Uint8Array.from(content));
}

/** Whether the text is an object identifier in dots, of at most 128 characters. */
export function isOid(text: string): boolean {
  return (
    text.length <= 128 &&
    /^(?:[01]\.(?:[0-9]|[1-3][0-9])|2\.(?:0|[1-9]\d*))(?:\.(?:0|[1-9]\d*))*$/.test(text)
  );
}

/** A non-negative INTEGER from its bytes, most significant first. */
export function encodeUnsigned(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const digits = bytes.subarray(start);
  return (digits[0] ?? 0) >= 0x80 || digits.length === 0
    ? encode(tag.integer, Uint8Array.of(0), digits)
    : encode(tag.integer, digits);
}

/** A BIT STRING of whole bytes. */
export function encodeBitString(bytes: Uint8Array): Uint8Array {
  return encode(tag.bitString, Uint8Array.of(0), bytes);
}

const utf8Encoder = new TextEncoder();

/** A string under the given tag; the characters must fit the type. */
export function encodeText(stringTag: number, text: string): Uint8Array {
  if (stringTag === tag.bmpString) {
    return encode(stringTag, Buffer.from(text, 'utf16le').swap16());
  }
  return encode(stringTag, utf8Encoder.encode(text));
}
