import fc from 'fast-check';
import { bytesOf } from './door.ts';

/** Makes another input of one. `other` is there to be mixed in. */
export type Edit = (input: Uint8Array, other: Uint8Array) => Uint8Array;

/** Longer inputs say nothing new, and are slow. In bytes. */
export const longestInput = 200_000;

/** A share of something, from 0 up to but not including 1. */
export const share: fc.Arbitrary<number> = fc.nat(2 ** 30 - 1).map((part) => part / 2 ** 30);

/** The item that lies so far into a list. */
export function itemAt<Item>(items: readonly Item[], where: number): Item | undefined {
  return items[Math.floor(where * items.length)];
}

/** Mostly a few times. */
export const howOften: fc.Arbitrary<number> = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 2, max: 5 }) },
  { weight: 1, arbitrary: fc.integer({ min: 2, max: 300 }) },
);

/** Mostly nothing or one byte; otherwise a few, or a share of what is left. */
const lengthIn: fc.Arbitrary<(rest: number) => number> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(0, 0, 1).map((bytes) => () => bytes) },
  { weight: 1, arbitrary: fc.nat(8).map((bytes) => () => bytes) },
  { weight: 1, arbitrary: share.map((part) => (rest: number) => Math.ceil(part * rest)) },
);

const oddBytes = [0, 1, 0x0a, 0x20, 0x22, 0x2d, 0x7b, 0x7f, 0x80, 0xc3, 0xff] as const;
const steps = [-3, -2, -1, 1, 2, 4, 8, 16, 32, 64, 128] as const;

/** What is put in the place of a part, which may be empty. */
function pieceOf(words: readonly string[]): fc.Arbitrary<Edit> {
  const fresh = fc.oneof(
    fc.constantFrom(...oddBytes).map((byte) => Uint8Array.of(byte)),
    fc.nat(9).map((digit) => bytesOf(String(digit))),
    fc.uint8Array({ maxLength: 16 }),
    ...(words.length === 0 ? [] : [fc.constantFrom(...words.map(bytesOf))]),
  );
  return fc.oneof(
    fc.constant<Edit>(() => new Uint8Array()),
    editOf(fresh, (bytes) => () => bytes),
    editOf(fc.constantFrom(...steps), (by) => (part) => part.map((byte) => byte + by)),
    editOf(howOften, (times) => (part) => repeated(part, times)),
    editOf(
      fc.tuple(share, share),
      ([from, part]) =>
        (_, other) =>
          cutOut(other, from, part),
    ),
  );
}

export function editOf<Drawn>(
  from: fc.Arbitrary<Drawn>,
  make: (drawn: Drawn) => Edit,
): fc.Arbitrary<Edit> {
  return from.map(make);
}

/** Changes bytes anywhere, without knowing how they are built. `words` are those that mean something in them. */
export function byteEdit(words: readonly string[]): fc.Arbitrary<Edit> {
  const drawn = fc.tuple(share, lengthIn, pieceOf(words));
  return editOf(drawn, ([where, length, piece]) => (input, other) => {
    const at = Math.floor(where * (input.length + 1));
    const to = Math.min(input.length, at + length(input.length - at));
    const put = piece(input.subarray(at, to), other);
    return joined([input.subarray(0, at), put, input.subarray(to)]);
  });
}

function cutOut(bytes: Uint8Array, where: number, part: number): Uint8Array {
  const at = Math.floor(where * bytes.length);
  return bytes.subarray(at, at + Math.ceil(part * (bytes.length - at)));
}

function repeated(part: Uint8Array, times: number): Uint8Array {
  const most = Math.floor(longestInput / Math.max(1, part.length));
  return joined(new Array<Uint8Array>(Math.min(times, most)).fill(part));
}

/** The same bytes in one piece. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
