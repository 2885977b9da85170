import fc from 'fast-check';
import { derTree } from './der-tree.ts';
import type { Door } from './door.ts';
import { byteEdit, type Edit, itemAt, longestInput, share } from './edit.ts';
import { jsonTree } from './json-tree.ts';
import { treeEdit } from './tree-edit.ts';

/**
 * What is tried at a door: what is valid there, changed once or a few times, and inputs from nothing. Inputs are not
 * kept to be changed further: measured, planted mistakes are found no sooner so.
 */
export function inputsFor(door: Door): fc.Arbitrary<Uint8Array> {
  const { seeds, generated } = door;
  const start = share.map((where) => itemAt(seeds, where) ?? new Uint8Array());
  const mixedIn = generated === undefined ? start : fc.oneof(start, start, generated);
  const changed = fc
    .tuple(start, mixedIn, edits(door))
    .map(([input, other, list]) =>
      list.reduce((made, edit) => edit(made, other).subarray(0, longestInput), input),
    );
  if (generated === undefined) return changed;
  return fc.oneof({ weight: 4, arbitrary: changed }, { weight: 1, arbitrary: generated });
}

/** Mostly one or two. */
function edits(door: Door): fc.Arbitrary<Edit[]> {
  const edit = editFor(door);
  return fc.oneof(
    { weight: 3, arbitrary: fc.array(edit, { minLength: 1, maxLength: 2 }) },
    { weight: 1, arbitrary: fc.array(edit, { minLength: 1, maxLength: 8, size: 'max' }) },
  );
}

/** Most of them keep the form, so that they are not all refused at the door's outermost step. */
function editFor({ form, dictionary }: Door): fc.Arbitrary<Edit> {
  const bytes = byteEdit(dictionary);
  if (form !== 'json' && form !== 'der') return bytes;
  const tree = treeEdit(form === 'json' ? jsonTree : derTree, bytes);
  return fc.oneof({ weight: 2, arbitrary: tree }, { weight: 1, arbitrary: bytes });
}
