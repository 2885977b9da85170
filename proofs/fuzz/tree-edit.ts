import fc from 'fast-check';
import { type Edit, editOf, howOften, itemAt, share } from './edit.ts';

/** A value of JSON or DER: bytes, or further values. */
export interface Node {
  /** What it is called in an object of JSON. */
  readonly key: string;
  /** DER's tag; of JSON the bracket or quotation mark, or the whole of what has none. */
  readonly kind: string | number;
  readonly content: Uint8Array | readonly Node[];
}

/** How inputs are built, so that a change inside does not break the form around it. */
export interface TreeForm {
  /** Undefined when the bytes are not of this form. */
  read(input: Uint8Array): readonly Node[] | undefined;
  write(nodes: readonly Node[]): Uint8Array;
  /** What programs trip over, in a value's place. */
  readonly odd: fc.Arbitrary<(node: Node) => Node>;
}

/** What becomes of one value: nothing, another, or many. `all` are there to be copied. */
type Change = (node: Node, all: readonly Node[]) => readonly Node[];

/** Changing what is larger takes longer than it is worth. In bytes. */
const largestTree = 20_000;

/** Changes one value, at any depth; `inside` changes the bytes of those that are bytes. */
export function treeEdit(form: TreeForm, inside: fc.Arbitrary<Edit>): fc.Arbitrary<Edit> {
  return editOf(fc.tuple(share, changeOf(form, inside)), ([where, change]) => (input, other) => {
    const nodes = readSmall(form, input);
    const all = nodes.flatMap(selfAndInner);
    const chosen = itemAt(all, where);
    if (chosen === undefined) return input;
    const copies = [...all, ...readSmall(form, other).flatMap(selfAndInner)];
    const replaced = (node: Node): readonly Node[] => {
      if (node === chosen) return change(node, copies);
      const { content } = node;
      if (content instanceof Uint8Array) return [node];
      return [{ ...node, content: content.flatMap(replaced) }];
    };
    return form.write(nodes.flatMap(replaced));
  });
}

function changeOf(form: TreeForm, inside: fc.Arbitrary<Edit>): fc.Arbitrary<Change> {
  const odd: fc.Arbitrary<Change> = form.odd.map((put) => (node) => [put(node)]);
  const edited: fc.Arbitrary<Change> = inside.map((edit) => (node) => [withEdit(node, edit)]);
  const repeated: fc.Arbitrary<Change> = howOften.map((times) => (node) => {
    return new Array<Node>(times).fill(node);
  });
  const copied: fc.Arbitrary<Change> = share.map((where) => (node, all) => {
    return [{ ...(itemAt(all, where) ?? node), key: node.key }];
  });
  return fc.oneof(
    { weight: 3, arbitrary: odd },
    { weight: 3, arbitrary: edited },
    fc.constant<Change>(() => []),
    repeated,
    copied,
  );
}

function withEdit(node: Node, edit: Edit): Node {
  const { content } = node;
  return content instanceof Uint8Array ? { ...node, content: edit(content, content) } : node;
}

function readSmall(form: TreeForm, input: Uint8Array): readonly Node[] {
  return input.length > largestTree ? [] : (form.read(input) ?? []);
}

function selfAndInner(node: Node): readonly Node[] {
  const { content } = node;
  return content instanceof Uint8Array ? [node] : [node, ...content.flatMap(selfAndInner)];
}
