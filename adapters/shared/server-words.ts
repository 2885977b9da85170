import { withoutSecrets } from './without-secrets.ts';

/** A page of HTML as it is read: of its head only the title, which says most. */
function withoutMarkup(text: string): string {
  return text
    .replace(/<(script|style)\b[^>]*>[\s\S]{0,20000}?<\/\1\s*>/gi, ' ')
    .replace(/<!--[\s\S]{0,20000}?-->/g, ' ')
    .replace(/<[^<>]{0,2000}>/g, ' ');
}

/** Whether it is HTML, whatever its headers call it. */
export function isPage(text: string): boolean {
  return /^\s*(?:<\?xml[^>]{0,200}>\s*)?(?:<!--[^>]{0,200}-->\s*)*<(?:!doctype|html|head|body|title|h1|center)\b/i.test(
    text,
  );
}

/**
 * What a server said, made fit for one line that operators read: bounded, printable, without our secrets.
 * Empty when it said nothing. `longest` is in characters.
 */
export function serverWords(
  text: string | Buffer,
  secrets: Iterable<string> = [],
  longest = 500,
): string {
  const said = withoutSecrets(text.toString().slice(0, 64 * 1024), secrets);
  // Of a page once more: tags may have stood within.
  const line = (isPage(said) ? withoutSecrets(withoutMarkup(said), secrets) : said)
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim();
  return line.length > longest ? `${line.slice(0, longest - 1)}…` : line;
}
