/** A server's words for operators: one printable line of bounded length. */
export function serverWords(text: string, most = 400): string {
  return text
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim()
    .slice(0, most);
}
