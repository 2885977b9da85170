import fc from 'fast-check';
import { joined } from './edit.ts';
import type { Node, TreeForm } from './tree-edit.ts';

const oddContents = [
  '',
  '00',
  'ff',
  '80',
  '0000',
  '0101ff',
  '7fffffff',
  'ffffffffffffffff7f',
] as const;
const oddTags = [
  1, 2, 3, 4, 5, 6, 0x0c, 0x13, 0x16, 0x17, 0x18, 0x1e, 0x30, 0x31, 0x80, 0xa0, 0xa3,
];

/** What lies deeper is taken for bytes. */
const deepest = 40;

/** Stands where JSON has a key: the length has a zero in front, which DER does not allow. */
const longLength = 'long length';

/** DER, no further than where its values begin and end: lengths around a change are right again. */
export const derTree: TreeForm = {
  read(input) {
    const nodes = nodesOf(input, 0);
    return nodes?.length === 0 ? undefined : nodes;
  },
  write: (nodes) => joined(nodes.flatMap(partsOf)),
  odd: fc.oneof(
    fc.constantFrom(...oddContents).map((hex) => withContent(Buffer.from(hex, 'hex'))),
    fc.uint8Array({ maxLength: 40 }).map(withContent),
    fc
      .oneof(fc.constantFrom(...oddTags), fc.nat(255))
      .map((kind) => (node: Node) => ({ ...node, kind })),
    fc.constant((node: Node) => ({ ...node, key: longLength })),
  ),
};

function withContent(content: Uint8Array): (node: Node) => Node {
  return (node) => ({ ...node, content });
}

function nodesOf(bytes: Uint8Array, depth: number): Node[] | undefined {
  const nodes: Node[] = [];
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
    const nested = isNested && depth < deepest ? nodesOf(inner, depth + 1) : undefined;
    nodes.push({ key: '', kind: tag, content: nested ?? inner });
    at += length;
  }
  return nodes;
}

/** Headers and contents in their order, to be joined once. */
function partsOf({ key, kind, content }: Node): readonly Uint8Array[] {
  const body = content instanceof Uint8Array ? [content] : content.flatMap(partsOf);
  const length = body.reduce((sum, part) => sum + part.length, 0);
  return [Uint8Array.of(Number(kind), ...lengthOf(length, key === longLength)), ...body];
}

function lengthOf(length: number, isLong: boolean): readonly number[] {
  if (length < 0x80 && !isLong) return [length];
  const bytes = [length >> 16, (length >> 8) & 0xff, length & 0xff];
  const first = bytes.findIndex((byte) => byte > 0);
  const needed = [...(isLong ? [0] : []), ...bytes.slice(first)];
  return [0x80 | needed.length, ...needed];
}
