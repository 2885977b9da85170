import type { Random } from './random.ts';

/*
 * Changes DER somewhere and makes the lengths around the change right again, so that the change is not
 * refused at the door's outermost step. It reads no more of DER than that.
 */

interface Element {
  tag: number;
  content: Uint8Array | Element[];
}

const oddContents: readonly (readonly number[])[] = [
  [],
  [0],
  [0xff],
  [0x80],
  [0, 0],
  [0x7f, 0xff, 0xff, 0xff],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
];
const oddTags = [
  1, 2, 3, 4, 5, 6, 0x0c, 0x13, 0x16, 0x17, 0x18, 0x1e, 0x30, 0x31, 0x80, 0xa0, 0xa3,
];

/** Undefined when the bytes are not DER as far as it goes. */
export function mutateDer(bytes: Uint8Array, random: Random): Uint8Array | undefined {
  const root = parse(bytes, 0);
  if (root === undefined || root.length === 0) return undefined;
  const all: Element[] = [];
  const gather = (list: readonly Element[]): void => {
    for (const element of list) {
      all.push(element);
      if (Array.isArray(element.content)) gather(element.content);
    }
  };
  gather(root);
  change(random.pick(all), all, random);
  return concat(root.map(encode));
}

function change(element: Element, all: readonly Element[], random: Random): void {
  const { content } = element;
  switch (random.below(7)) {
    case 0:
      element.tag = random.below(2) === 0 ? random.pick(oddTags) : random.below(256);
      return;
    case 1:
      element.content = Uint8Array.from(random.pick(oddContents));
      return;
    case 2:
      element.content = random.bytes(random.below(40));
      return;
    case 3: {
      // A copy, so that no element can come to lie inside itself.
      const other = parse(encode(random.pick(all)), 0)?.[0];
      if (other !== undefined) Object.assign(element, other);
      return;
    }
    case 4:
      if (Array.isArray(content)) content.splice(random.below(content.length), 1);
      else element.content = content.slice(0, random.below(content.length + 1));
      return;
    case 5:
      if (Array.isArray(content) && content.length > 0) content.push(random.pick(content));
      else element.content = random.bytes(random.below(300));
      return;
    default:
      if (!Array.isArray(content) && content.length > 0) {
        element.content = content.with(random.below(content.length), random.below(256));
      }
  }
}

const deepest = 40;

function parse(bytes: Uint8Array, depth: number): Element[] | undefined {
  const elements: Element[] = [];
  let at = 0;
  while (at < bytes.length) {
    const tag = bytes[at];
    let length = bytes[at + 1];
    if (tag === undefined || length === undefined) return undefined;
    at += 2;
    if (length >= 0x80) {
      const octets = length & 0x7f;
      if (octets < 1 || octets > 3) return undefined;
      length = bytes.subarray(at, at + octets).reduce((sum, octet) => sum * 256 + octet, 0);
      at += octets;
    }
    if (at + length > bytes.length) return undefined;
    const inner = bytes.slice(at, at + length);
    // Extensions carry DER inside an OCTET STRING.
    const isNested = (tag & 0x20) !== 0 || (tag === 4 && inner[0] === 0x30);
    const nested = isNested && depth < deepest ? parse(inner, depth + 1) : undefined;
    elements.push({ tag, content: nested ?? inner });
    at += length;
  }
  return elements;
}

function encode({ tag, content }: Element): Uint8Array {
  const body = Array.isArray(content) ? concat(content.map(encode)) : content;
  const { length } = body;
  const header =
    length < 0x80
      ? [length]
      : length < 0x100
        ? [0x81, length]
        : length < 0x10000
          ? [0x82, length >> 8, length & 0xff]
          : [0x83, length >> 16, (length >> 8) & 0xff, length & 0xff];
  return concat([Uint8Array.from([tag, ...header]), body]);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
