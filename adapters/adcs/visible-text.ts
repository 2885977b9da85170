/** The text between the tags, one line. What is never closed is looked for once: a megabyte of `<` takes no time. */
export function visibleText(page: string): string {
  const unclosed = new Set<string>();
  const texts: string[] = [];
  let at = 0;
  const endOf = (end: RegExp): number | undefined => {
    if (unclosed.has(end.source)) return undefined;
    end.lastIndex = at;
    if (end.test(page)) return end.lastIndex;
    unclosed.add(end.source);
    return undefined;
  };
  for (;;) {
    const tag = page.indexOf('<', at);
    texts.push(tag === -1 ? page.slice(at) : page.slice(at, tag));
    if (tag === -1) break;
    at = tag;
    const [, hidden] = /^<(script|style|head)\b/i.exec(page.slice(at, at + 8)) ?? [];
    const begun = page.startsWith('<!--', at)
      ? /-->/g
      : hidden && new RegExp(`</${hidden}\\s*>`, 'gi');
    const end = (begun ? endOf(begun) : undefined) ?? endOf(/>/g);
    // A < that ends nowhere is a text.
    if (end === undefined) texts.push('<');
    at = end ?? at + 1;
  }
  return texts
    .join(' ')
    .replace(/&nbsp;/gi, ' ')
    .replace(/&quot;/gi, '"')
    .replace(/\s+/g, ' ')
    .trim();
}
