/** Shorter secrets would blot out half of every message and protect nothing. */
const shortestSecret = 4;

/**
 * What a server said, made fit for one line that operators read: bounded, printable, without our secrets.
 * Empty when it said nothing. `longest` is in characters.
 */
export function serverWords(
  text: string | Buffer,
  secrets: Iterable<string> = [],
  longest = 500,
): string {
  let line = text.toString().slice(0, 64 * 1024);
  // The longest first: one may be a part of another.
  for (const secret of [...secrets].toSorted((a, b) => b.length - a.length)) {
    if (secret.length >= shortestSecret) line = line.replaceAll(secret, '[secret]');
  }
  line = line.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ').trim();
  return line.length > longest ? `${line.slice(0, longest - 1)}…` : line;
}
