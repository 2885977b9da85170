/*
 * XML with namespaces (XML 1.0, Namespaces in XML 1.0), as much of it as a SOAP answer needs and nothing that could be
 * turned against its reader: no document type, no entities but the five and character references, no processing
 * instructions, and bounds on size, depth and number.
 */

export interface XmlElement {
  /** The local name. */
  readonly name: string;
  readonly namespace: string;
  /** By local name; namespace declarations are left out. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly XmlElement[];
  /** The character data directly inside, in one piece. */
  readonly text: string;
}

/** A text that is not the XML that is read here. */
export class XmlError extends Error {
  override readonly name = 'XmlError';
}

const mostCharacters = 1024 * 1024;
const mostElements = 5_000;
const deepest = 64;
/** Of one element, declarations of namespaces among them: a SOAP envelope has a handful. */
const mostAttributes = 100;

/** The namespaces that one element declares, by prefix; the others are found further out. */
interface Scope {
  readonly declared: ReadonlyMap<string, string>;
  readonly outer: Scope | undefined;
}

interface Open {
  readonly tag: string;
  readonly element: XmlElement & { children: XmlElement[]; text: string };
  readonly scope: Scope;
}

const token =
  /<!--(?:(?!--)[\s\S])*-->|<!\[CDATA\[([\s\S]*?)\]\]>|<\/([^\s<>/]+)\s*>|<([^\s<>/!?]+)((?:\s+[^\s=<>/]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>|([^<]+)/y;
const attribute = /\s+([^\s=<>/]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g;
const nameForm = /^[\p{L}_][\p{L}\p{N}_.-]*(?::[\p{L}_][\p{L}\p{N}_.-]*)?$/u;
const outermost: Scope = {
  declared: new Map([['xml', 'http://www.w3.org/XML/1998/namespace']]),
  outer: undefined,
};

/**
 * The document element.
 *
 * @throws {XmlError}
 */
export function parseXml(document: string): XmlElement {
  if (document.length > mostCharacters) throw new XmlError('The XML is too long');
  const text = document.replace(/^\uFEFF?\s*/, '').replace(/^<\?xml\s[^<>]*\?>/, '');
  const open: Open[] = [];
  let root: XmlElement | undefined;
  let elements = 0;
  for (token.lastIndex = 0; token.lastIndex < text.length; ) {
    const at = token.lastIndex;
    const match = token.exec(text);
    if (match === null) throw new XmlError(`Not well-formed, or not allowed here (at ${at})`);
    const [, cdata, endTag, startTag, attributes = '', empty, characters] = match;
    const parent = open.at(-1);
    if (startTag !== undefined) {
      elements += 1;
      if (elements > mostElements || open.length >= deepest) throw new XmlError('Too large');
      if (parent === undefined && root !== undefined) throw new XmlError('Two document elements');
      const begun = begin(startTag, attributes, parent?.scope ?? outermost);
      parent?.element.children.push(begun.element);
      root ??= begun.element;
      if (empty === '') open.push(begun);
    } else if (endTag !== undefined) {
      if (parent?.tag !== endTag) throw new XmlError(`</${endTag.slice(0, 40)}> ends nothing`);
      open.pop();
    } else if (characters !== undefined || cdata !== undefined) {
      const data = cdata ?? resolved(characters ?? '');
      if (parent !== undefined) parent.element.text += data;
      else if (data.trim() !== '') throw new XmlError('Text outside of the document element');
    }
  }
  if (root === undefined || open.length > 0) throw new XmlError('The XML ends too early');
  return root;
}

function begin(tag: string, attributes: string, outer: Scope): Open {
  const given = new Map<string, string>();
  for (const [, name = '', double, single] of attributes.matchAll(attribute)) {
    if (given.size >= mostAttributes) throw new XmlError('Too many attributes');
    if (!nameForm.test(name)) throw new XmlError('Not the name of an attribute');
    if (given.has(name)) throw new XmlError(`The attribute ${name} is there twice`);
    given.set(name, resolved(double ?? single ?? ''));
  }
  const declared = new Map<string, string>();
  const own = new Map<string, string>();
  for (const [name, value] of given) {
    if (name === 'xmlns') declared.set('', value);
    else if (name.startsWith('xmlns:')) declared.set(name.slice('xmlns:'.length), value);
    else own.set(localName(name), value);
  }
  if (!nameForm.test(tag)) throw new XmlError('Not the name of an element');
  const prefix = tag.includes(':') ? tag.slice(0, tag.indexOf(':')) : '';
  const scope = declared.size === 0 ? outer : { declared, outer };
  const namespace = namespaceOf(prefix, scope);
  if (prefix !== '' && namespace === '') throw new XmlError(`The prefix ${prefix} is not declared`);
  const element = { name: localName(tag), namespace, attributes: own, children: [], text: '' };
  return { tag, element, scope };
}

/** Looks from the inside out: nothing is copied, and no more than `deepest` steps are taken. */
function namespaceOf(prefix: string, scope: Scope): string {
  for (let at: Scope | undefined = scope; at !== undefined; at = at.outer) {
    const found = at.declared.get(prefix);
    if (found !== undefined) return found;
  }
  return '';
}

function localName(name: string): string {
  return name.slice(name.indexOf(':') + 1);
}

const entities: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
};

function resolved(text: string): string {
  return text.replace(/&([^;&]{0,12})(;?)/g, (_whole, name: string, end: string) => {
    const entity = Object.hasOwn(entities, name) ? entities[name] : characterOf(name);
    if (end === '' || entity === undefined) throw new XmlError('An entity that is not allowed');
    return entity;
  });
}

/** `#` and a decimal, or `#x` and a hexadecimal number. */
function characterOf(reference: string): string | undefined {
  const [, hexadecimal, decimal] = /^#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}))$/.exec(reference) ?? [];
  const point = hexadecimal === undefined ? Number(decimal) : Number.parseInt(hexadecimal, 16);
  const isCharacter = point > 0 && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
  return isCharacter ? String.fromCodePoint(point) : undefined;
}

/** Text for the inside of an element or a quoted attribute; characters that XML does not have become spaces. */
export function escapeXml(text: string): string {
  return text
    .replace(/[^\P{Cc}\t\n\r]|[\uFFFE\uFFFF]/gu, ' ')
    .replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** The child with this name, if there is one; the first of several. */
export function childOf(
  element: XmlElement | undefined,
  namespace: string,
  name: string,
): XmlElement | undefined {
  return element?.children.find((child) => child.name === name && child.namespace === namespace);
}
