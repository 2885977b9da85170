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

/** What is put in the place of a part of the input. */
type Piece = (part: Uint8Array, other: Uint8Array) => Uint8Array;

/** Mostly a few times. */
export const howOften: fc.Arbitrary<number> = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 2, max: 5 }) },
  { weight: 1, arbitrary: fc.integer({ min: 2, max: 300 }) },
);

const oddBytes = [0, 1, 0x0a, 0x20, 0x22, 0x2d, 0x30, 0x7b, 0x7f, 0x80, 0xc3, 0xff] as const;

function pieceOf(words: readonly string[]): fc.Arbitrary<Piece> {
  const fresh = fc.oneof(
    fc.constant(new Uint8Array()),
    fc.constantFrom(...oddBytes).map((byte) => Uint8Array.of(byte)),
    fc.nat(9).map((digit) => bytesOf(String(digit))),
    fc.uint8Array({ maxLength: 16 }),
    ...(words.length === 0 ? [] : [fc.constantFrom(...words.map(bytesOf))]),
  );
  return fc.oneof(
    fresh.map((bytes) => () => bytes),
    fc.nat(7).map((bit) => firstChanged((byte) => byte ^ (1 << bit))),
    fc.integer({ min: -4, max: 4 }).map((by) => firstChanged((byte) => byte + by)),
    howOften.map(
      (times): Piece =>
        (part) =>
          repeated(part, times),
    ),
    share.map(
      (from): Piece =>
        (part, other) => {
          const at = Math.floor(from * other.length);
          return other.subarray(at, at + Math.max(part.length, 8));
        },
    ),
  );
}

/** Changes bytes anywhere, without knowing how they are built. `words` are those that mean something in them. */
export function byteEdit(words: readonly string[]): fc.Arbitrary<Edit> {
  const length = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(0, 0, 1).map((bytes) => () => bytes) },
    { weight: 1, arbitrary: fc.nat(8).map((bytes) => () => bytes) },
    { weight: 1, arbitrary: share.map((part) => (rest: number) => Math.ceil(part * rest)) },
  );
  const splice = fc.tuple(share, length, pieceOf(words)).map(
    ([where, lengthIn, piece]): Edit =>
      (input, other) => {
        const at = Math.floor(where * (input.length + 1));
        const to = Math.min(input.length, at + lengthIn(input.length - at));
        const put = piece(input.subarray(at, to), other);
        return joined([input.subarray(0, at), put, input.subarray(to)]);
      },
  );
  const cross = fc.tuple(share, share).map(
    ([to, from]): Edit =>
      (input, other) => {
        const head = input.subarray(0, Math.floor(to * (input.length + 1)));
        return joined([head, other.subarray(Math.floor(from * (other.length + 1)))]);
      },
  );
  return fc.oneof({ weight: 9, arbitrary: splice }, cross);
}

function firstChanged(change: (byte: number) => number): Piece {
  return (part) => Uint8Array.from(part, (byte, index) => (index === 0 ? change(byte) : byte));
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
