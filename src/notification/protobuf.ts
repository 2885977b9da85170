/*
 * As much of the protobuf wire format (protobuf.dev/programming-guides/encoding) as a flat message of strings needs:
 * tags, varints, and the lengths of skipped fields.
 */

type Read = { readonly fields: ReadonlyMap<number, string> } | { readonly problem: string };

const wireType = { varint: 0, fixed64: 1, lengthDelimited: 2, fixed32: 5 } as const;

/** Above this, a varint can be neither a tag nor a length of ours. */
const largestUint32 = 2 ** 32 - 1;

/**
 * Reads the string fields numbered 1 to `highest`. The last value of a repeated field wins, other fields are skipped,
 * and groups (deprecated, and never sent by this publisher) are refused.
 */
export function readStringFields(bytes: Uint8Array, highest: number): Read {
  const fields = new Map<number, string>();
  const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let at = 0;
  while (at < bytes.length) {
    const tag = readVarint(bytes, at);
    if (tag === undefined || tag.value > largestUint32)
      return { problem: 'a tag is cut off or too long' };
    at = tag.next;
    const field = Math.floor(tag.value / 8);
    if (field === 0) return { problem: 'a field has the number 0' };
    const known = field <= highest;
    const type = tag.value % 8;
    if (known && type !== wireType.lengthDelimited) {
      return { problem: `field ${field} is not a string` };
    }
    const span = spanOf(bytes, at, type);
    if (span === undefined)
      return { problem: 'a field is cut off or of a type that is not in use' };
    if (known) {
      try {
        fields.set(field, utf8.decode(bytes.subarray(span.from, span.to)));
      } catch {
        // The decoder only says that the bytes are not UTF-8.
        return { problem: `field ${field} is not UTF-8` };
      }
    }
    at = span.to;
  }
  return { fields };
}

/** Where a field's content lies, or undefined when it ends outside the message. */
function spanOf(
  bytes: Uint8Array,
  at: number,
  type: number,
): { readonly from: number; readonly to: number } | undefined {
  let from = at;
  let length: number;
  switch (type) {
    case wireType.varint: {
      const skipped = readVarint(bytes, at);
      if (skipped === undefined) return undefined;
      length = skipped.next - at;
      break;
    }
    case wireType.fixed64:
      length = 8;
      break;
    case wireType.fixed32:
      length = 4;
      break;
    case wireType.lengthDelimited: {
      const prefix = readVarint(bytes, at);
      if (prefix === undefined) return undefined;
      from = prefix.next;
      length = prefix.value;
      break;
    }
    default:
      return undefined;
  }
  return from + length <= bytes.length ? { from, to: from + length } : undefined;
}

/** A varint of at most ten bytes. Beyond 2^53 the value is only roughly right, which is enough to skip it. */
function readVarint(
  bytes: Uint8Array,
  at: number,
): { readonly value: number; readonly next: number } | undefined {
  let value = 0;
  for (let index = 0; index < 10; index += 1) {
    const byte = bytes[at + index];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return { value, next: at + index + 1 };
  }
  return undefined;
}
