const longestQuote = 500;
/** Shorter ones would blot out half of every message and protect nothing. */
const shortestSecret = 4;

/** What a CA said, for operators: one printable line, cut, without the secrets that it was told. */
export function quote(text: string, secrets: readonly string[] = []): string {
  let said = text;
  for (const secret of secrets) {
    if (secret.length >= shortestSecret) said = said.replaceAll(secret, '[secret]');
  }
  return said
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim()
    .slice(0, longestQuote);
}
