import { nearestName } from '../words/nearest-name.ts';
import {
  type AttributeType,
  attributeKeywords,
  attributeType,
  attributeTypeNamed,
} from './attribute-types.ts';
import { readInside, readOid, readSingle, tag } from './der.ts';
import { readText } from './der-text.ts';
import { encode, encodeOid, encodeSetOf, encodeText, isOid } from './encode-der.ts';

/** An attribute of a name: an object identifier in dots, and its text. */
export interface NameAttribute {
  readonly type: string;
  readonly value: string;
}

/** A distinguished name: RDNs in the order of their encoding (RFC 5280 4.1.2.4), each a set of attributes. */
export type DistinguishedName = readonly (readonly NameAttribute[])[];

/** A name that cannot be read or that the standards do not allow. */
export class NameError extends Error {
  override readonly name = 'NameError';
}

const mostCharacters = 8192;
const mostAttributes = 64;

/**
 * Reads a name in the string form of RFC 4514, whose order is the reverse of the encoding's: `CN=a,O=b`
 * is the sequence O, CN. Spaces around `,`, `+` and `=` are allowed, as people write them. An empty string
 * is the empty name. Keywords are known in any case; other types are written as object identifiers.
 *
 * @throws {NameError} with the position (1 is the first character).
 */
export function parseName(text: string): DistinguishedName {
  if (text.length > mostCharacters) {
    throw new NameError(`The name is longer than ${mostCharacters} characters.`);
  }
  if (text.trim() === '') return [];
  const rdns: NameAttribute[][] = [];
  let rdn: NameAttribute[] = [];
  let at = 0;
  for (let count = 1; ; count++) {
    if (count > mostAttributes) throw new NameError(`The name has over ${mostAttributes} parts.`);
    const type = readType(text, at);
    const value = readValue(text, type.end);
    rdn.push({ type: type.oid, value: value.text });
    at = value.end + 1;
    if (text[value.end] === '+') continue;
    rdns.unshift(rdn);
    rdn = [];
    if (value.end >= text.length) return rdns;
  }
}

function readType(text: string, at: number): { oid: string; end: number } {
  const pattern = / *([A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)+) *= */y;
  pattern.lastIndex = at;
  const found = pattern.exec(text)?.[1];
  if (found === undefined) {
    throw new NameError(`A part such as CN=… is missing at position ${at + 1} of the name.`);
  }
  const oid = isOid(found) ? found : attributeTypeNamed(found)?.oid;
  if (oid === undefined) {
    const nearest = nearestName(found, attributeKeywords);
    const hint = nearest === undefined ? 'Write its object identifier.' : `Is ${nearest} meant?`;
    throw new NameError(`“${found}” at position ${at + 1} is no known attribute. ${hint}`);
  }
  return { oid, end: pattern.lastIndex };
}

/** The value up to the next bare `,` or `+`; unescaped spaces at its end do not belong to it. */
function readValue(text: string, start: number): { text: string; end: number } {
  if (text[start] === '#') return readHexValue(text, start);
  let value = '';
  let kept = 0;
  let at = start;
  for (; at < text.length; ) {
    const character = text.charAt(at);
    if (character === ',' || character === '+') break;
    if (character === '\\') {
      const escaped = readEscape(text, at);
      value += escaped.text;
      at = escaped.end;
      kept = value.length;
      continue;
    }
    if ('";<>\0'.includes(character)) {
      throw new NameError(
        `${JSON.stringify(character)} at position ${at + 1} needs a \\ before it.`,
      );
    }
    value += character;
    at++;
    if (character !== ' ') kept = value.length;
  }
  if (kept === 0) throw new NameError(`The part before position ${at + 1} has no value.`);
  return { text: value.slice(0, kept), end: at };
}

/** `\,` and its like, or bytes of UTF-8 in hexadecimal: `\C3\A4`. */
function readEscape(text: string, start: number): { text: string; end: number } {
  const special = text.charAt(start + 1);
  if (special !== '' && ' "#+,;<=>\\'.includes(special)) return { text: special, end: start + 2 };
  const pattern = /(?:\\[0-9A-Fa-f]{2})+/y;
  pattern.lastIndex = start;
  const found = pattern.exec(text)?.[0];
  if (found === undefined) {
    throw new NameError(`The \\ at position ${start + 1} escapes nothing; write \\\\ for itself.`);
  }
  const bytes = Buffer.from(found.replaceAll('\\', ''), 'hex');
  return { text: textFrom(encode(tag.utf8String, bytes), start), end: pattern.lastIndex };
}

/** `#` and the DER of a string in hexadecimal. */
function readHexValue(text: string, start: number): { text: string; end: number } {
  const pattern = /#((?:[0-9A-Fa-f]{2})+) *(?=[,+]|$)/y;
  pattern.lastIndex = start;
  const hex = pattern.exec(text)?.[1];
  if (hex === undefined) {
    throw new NameError(
      `The # at position ${start + 1} must precede hexadecimal digits, or be \\#.`,
    );
  }
  return { text: textFrom(Buffer.from(hex, 'hex'), start), end: pattern.lastIndex };
}

function textFrom(der: Uint8Array, start: number): string {
  let text: string | undefined;
  try {
    text = readText(readSingle(der, der[0] ?? 0, 'The value'));
  } catch (error) {
    throw new NameError(`The value at position ${start + 1} cannot be read.`, { cause: error });
  }
  if (text === undefined || text === '') {
    throw new NameError(`The value at position ${start + 1} is not a text.`);
  }
  return text;
}

/** The string form of RFC 4514, with known types as keywords. */
export function formatName(name: DistinguishedName): string {
  return name
    .toReversed()
    .map((rdn) => rdn.map(formatAttribute).join('+'))
    .join(',');
}

function formatAttribute({ type, value }: NameAttribute): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is escaped
  const escaped = value.replace(/^[ #]| $|["+,;<>\\]|[\0-\x1f\x7f]/g, (character) =>
    character < ' ' || character === '\x7f'
      ? `\\${character.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`
      : `\\${character}`,
  );
  return `${attributeType(type)?.keyword ?? type}=${escaped}`;
}

/**
 * Name ::= SEQUENCE OF RelativeDistinguishedName           (RFC 5280 4.1.2.4)
 * RelativeDistinguishedName ::= SET OF SEQUENCE { type OBJECT IDENTIFIER, value ANY }
 *
 * @throws {NameError} when {@link nameProblem} finds one.
 */
export function encodeName(name: DistinguishedName): Uint8Array {
  const problem = nameProblem(name);
  if (problem !== undefined) throw new NameError(problem);
  return encode(
    tag.sequence,
    ...name.map((rdn) =>
      encodeSetOf(
        rdn.map(({ type, value }) =>
          encode(
            tag.sequence,
            encodeOid(type),
            encodeText(attributeType(type)?.stringTag ?? tag.utf8String, value),
          ),
        ),
      ),
    ),
  );
}

/** What is wrong with a name by RFC 5280's upper bounds and string types; undefined when nothing is. */
export function nameProblem(name: DistinguishedName): string | undefined {
  if (name.length > mostAttributes) return `The name has over ${mostAttributes} parts.`;
  for (const rdn of name) {
    if (rdn.length === 0) return 'The name has an empty part.';
    if (new Set(rdn.map(({ type }) => type)).size !== rdn.length) {
      return 'A part of the name has the same attribute twice.';
    }
    for (const attribute of rdn) {
      const problem = attributeProblem(attribute);
      if (problem !== undefined) return problem;
    }
  }
  return undefined;
}

function attributeProblem({ type, value }: NameAttribute): string | undefined {
  if (!isOid(type)) return `“${type}” is not an object identifier.`;
  const known: AttributeType | undefined = attributeType(type);
  const keyword = known?.keyword ?? type;
  if (!value.isWellFormed()) return `${keyword} is not a Unicode text.`;
  if (/\p{Cc}/u.test(value)) return `${keyword} has a control character.`;
  if (value.trim() === '') return `${keyword} is empty.`;
  const most = known?.most ?? 1024;
  const length = value.length <= most ? value.length : [...value].length;
  if (length > most) return `${keyword} has ${length} characters; ${most} are allowed.`;
  if (keyword === 'C' && !/^[A-Za-z]{2}$/.test(value)) {
    return 'C must be a country code of two letters.';
  }
  if (known?.stringTag === tag.printableString && !/^[A-Za-z0-9 '()+,\-./:=?]*$/.test(value)) {
    return `${keyword} has a character that its type (PrintableString) does not allow.`;
  }
  if (known?.stringTag === tag.ia5String && !/^[\x20-\x7e]*$/.test(value)) {
    return `${keyword} has a character outside ASCII; write a domain in its xn-- form.`;
  }
  return undefined;
}

/**
 * Reads an encoded name. A value that is no string (a unique identifier, say) appears as `#` and its DER in
 * hexadecimal.
 *
 * @throws {DerError}
 */
export function decodeName(der: Uint8Array): DistinguishedName {
  const sequence = readInside(der, 'The name');
  const rdns: NameAttribute[][] = [];
  while (!sequence.done) {
    const set = sequence.into('A part of the name', tag.set);
    const rdn: NameAttribute[] = [];
    do {
      const pair = set.into('An attribute of the name');
      const type = readOid(pair.next(tag.oid));
      const value = pair.next();
      pair.finish();
      rdn.push({ type, value: readText(value) ?? `#${Buffer.from(value.bytes).toString('hex')}` });
    } while (!set.done);
    rdns.push(rdn);
  }
  return rdns;
}

/**
 * Whether two names are equal as RFC 5280 7.1 compares them: part by part in order, attributes of a part in
 * any order, values without regard to string type, case, and the number of spaces. Unlike there, Unicode
 * text is brought to NFC and not to NFKC: look-alikes such as full-width letters stay different.
 */
export function sameName(a: DistinguishedName, b: DistinguishedName): boolean {
  return (
    a.length === b.length &&
    a.every((rdn, i) => {
      const other = (b[i] ?? []).map(comparableAttribute).toSorted();
      return (
        rdn.length === other.length &&
        rdn
          .map(comparableAttribute)
          .toSorted()
          .every((attribute, j) => attribute === other[j])
      );
    })
  );
}

/** An attribute in the form in which equal ones are the same string; see {@link sameName}. */
export function comparableAttribute({ type, value }: NameAttribute): string {
  return `${type}=${value.normalize('NFC').toLowerCase().trim().replace(/\s+/g, ' ')}`;
}
