/** Shorter ones would blot out half of every message and protect nothing. */
const shortestSecret = 4;
const longestQuote = 500;

/** What a server said, for operators: one printable line without the secrets that we sent it. */
export function serverWords(text: string, secrets: readonly string[]): string {
  let words = text;
  for (const secret of secrets) {
    if (secret.length >= shortestSecret) words = words.replaceAll(secret, '[secret]');
  }
  return words
    .replace(/<[^>]{0,200}>/g, ' ')
    .replace(/[^\P{C} ]|[\s\ufffd]/gu, ' ')
    .replace(/ {2,}/g, ' ')
    .trim()
    .slice(0, longestQuote);
}
