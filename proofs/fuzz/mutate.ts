import { bytesOf, type Door, textOf } from './door.ts';
import { mutateDer } from './mutate-der.ts';
import { mutateJson } from './mutate-json.ts';
import type { Random } from './random.ts';

/** Longer inputs say nothing new, and are slow. In bytes. */
const longest = 200_000;
const oddBytes = [0, 1, 0x0a, 0x20, 0x22, 0x2d, 0x30, 0x7b, 0x7f, 0x80, 0xc3, 0xff] as const;

/** One input made from another, changed once or a few times. `others` are there to be mixed in. */
export function mutate(
  input: Uint8Array,
  { form, dictionary }: Pick<Door, 'form' | 'dictionary'>,
  others: readonly Uint8Array[],
  random: Random,
): Uint8Array {
  let result = input;
  const changes = 1 + random.below(random.below(4) === 0 ? 8 : 2);
  for (let count = 0; count < changes; count += 1) {
    result = keepForm(result, form, random) ?? anyChange(result, dictionary, others, random);
  }
  return result.subarray(0, longest);
}

/** A change that knows how the bytes are built; undefined now and then, and when they are not so built. */
function keepForm(input: Uint8Array, form: Door['form'], random: Random): Uint8Array | undefined {
  if (random.below(3) === 0) return undefined;
  if (form === 'der') return mutateDer(input, random);
  if (form !== 'json') return undefined;
  const text = mutateJson(textOf(input), random);
  return text === undefined ? undefined : bytesOf(text);
}

function anyChange(
  input: Uint8Array,
  dictionary: readonly string[],
  others: readonly Uint8Array[],
  random: Random,
): Uint8Array {
  const at = random.below(input.length + 1);
  const to = at + random.below(input.length - at + 1);
  switch (random.below(9)) {
    case 0:
      return spliced(input, at, at + 1, Uint8Array.of(random.below(256)));
    case 1:
      return spliced(input, at, at, Uint8Array.of(random.pick(oddBytes)));
    case 2:
      return spliced(input, at, Math.min(to, at + 1 + random.below(8)), new Uint8Array());
    case 3:
      return spliced(input, at, to, new Uint8Array());
    case 4:
      return spliced(input, at, at, repeated(input.subarray(at, to), 1 + random.below(20)));
    case 5:
      return spliced(input, at, at + 1, flipped(input[at] ?? 0, random));
    case 6:
      return input.subarray(0, at);
    case 7:
      if (others.length === 0) return input;
      return mixed(input, random.pick(others), at, random);
    default:
      if (dictionary.length === 0) return spliced(input, at, at, random.bytes(random.below(16)));
      return spliced(input, at, random.below(2) === 0 ? at : to, bytesOf(random.pick(dictionary)));
  }
}

function spliced(input: Uint8Array, at: number, to: number, put: Uint8Array): Uint8Array {
  return new Uint8Array(Buffer.concat([input.subarray(0, at), put, input.subarray(to)]));
}

function repeated(part: Uint8Array, times: number): Uint8Array {
  const most = Math.floor(longest / Math.max(1, part.length));
  return new Uint8Array(Buffer.concat(new Array(Math.min(times, most)).fill(part)));
}

function flipped(byte: number, random: Random): Uint8Array {
  return Uint8Array.of(byte ^ (1 << random.below(8)));
}

/** The head of one and the tail of another. */
function mixed(input: Uint8Array, other: Uint8Array, at: number, random: Random): Uint8Array {
  const from = random.below(other.length + 1);
  return new Uint8Array(Buffer.concat([input.subarray(0, at), other.subarray(from)]));
}
