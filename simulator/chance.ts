/*
 * Seeded chance without a state: a decision depends on the seed and on what it is about (which process, which method,
 * which call in turn), never on the order in which requests happen to arrive. So a run with the same seed meets the
 * same faults, however its calls interleave.
 */

/** murmur3's finaliser: a bijection on 32-bit numbers in which every input bit moves every output bit. */
function mixed(value: number): number {
  let bits = value | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

function word(seed: number, subject: number, topic: number, turn: number): number {
  const start = mixed(seed ^ Math.imul(topic + 1, 0x9e3779b1));
  return mixed(mixed(start ^ subject) ^ Math.imul(turn + 1, 0x85ebca77));
}

/** A number in [0, 1) that is always the same for the same seed, subject, topic and turn. */
export function chanceOf(seed: number, subject: number, topic: number, turn: number): number {
  return word(seed, subject, topic, turn) / 2 ** 32;
}

/** 32 hexadecimal characters, different for every subject below 2^32 under one seed and topic. */
export function hexOf(seed: number, subject: number, topic: number): string {
  let text = '';
  for (let turn = 0; turn < 4; turn += 1) {
    text += word(seed, subject, topic, turn).toString(16).padStart(8, '0');
  }
  return text;
}

/** The same in the form of a UUID: 8-4-4-4-12. */
export function uuidOf(seed: number, subject: number, topic: number): string {
  const hex = hexOf(seed, subject, topic);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-');
}
