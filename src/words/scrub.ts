/*
 * Takes out of a text what must never be written down. It is the safety net for the rule that no secret gets into a
 * message in the first place: a library's error may quote a header or a connection string.
 */

const hidden = '[hidden]';

/** Longer texts are cut: nobody reads them in a log, and the work must stay small. In characters. */
const longestText = 8_000;

const rules: readonly (readonly [RegExp, string])[] = [
  // A private key in PEM (RFC 7468), even one whose end was cut off.
  [
    /-----BEGIN ([A-Z0-9 ]*)PRIVATE KEY-----(?:[\s\S]*?-----END \1PRIVATE KEY-----|[\s\S]*)/g,
    `${hidden} private key`,
  ],
  // Credentials of an Authorization header (RFC 9110 11.6.2), but not "bearer token" or "Basic Constraints".
  [/\b(Bearer\s+)(?!(?:tokens?|authentication|scheme)\b)[\w.~+/=-]{4,}/gi, `$1${hidden}`],
  [/\b((?:Basic|Negotiate|NTLM)\s+)(?=\S+[\dA-Z=+/])[\w+/=]{6,}/g, `$1${hidden}`],
  // What vendors mark as their own: Google's access and refresh tokens, client secrets and API keys; Vault's tokens
  // (service, batch, recovery, and the old form); AWS's key ids; GitHub's, GitLab's and Slack's tokens.
  [/\bya29\.[\w.-]+/g, hidden],
  [/\b1\/\/0[\w-]{10,}/g, hidden],
  [/\bGOCSPX-[\w-]+/g, hidden],
  [/\bAIza[\w-]{30,}/g, hidden],
  [/\b(?:hv[sbr]\.[\w-]{4,}|[sbr]\.[A-Za-z0-9]{24,})/g, hidden],
  [/\b(?:AKIA|ASIA)[A-Z0-9]{12,}/g, hidden],
  [/\b(?:gh[pousr]_|github_pat_|glpat-|xox[abeprs]-)[\w-]{10,}/g, hidden],
  // A JWT (RFC 7519): three base64url parts.
  [/\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*/g, hidden],
  // The password of a URL's user information (RFC 3986 3.2.1); it may itself hold an @.
  [/\b([a-z][a-z0-9+.-]{0,20}:\/\/[^\s:/@?#]{0,200}):[^\s/?#]*@/gi, `$1:${hidden}@`],
  // The password of a WS-Security UsernameToken, and any other element of XML whose name promises a secret.
  [/(<(?:[\w.-]{1,40}:)?(?:password|secret|pin)\b[^<>]{0,300}>)[^<]+/gi, `$1${hidden}`],
  // challenge=value and pin: value, and challengePassword likewise; but not "challenge: dns-01" or "pin: wrong".
  named(
    String.raw`\b(?:challenge(?:[_-]?password)?|pin|pin-value|otp)`,
    String.raw`(?!(?:http|dns|tls-alpn)-01\b|wrong\b|incorrect\b|locked\b|is\b|was\b)`,
  ),
  // name=value and "name": "value" of names that promise a secret.
  named(
    'password|passwd|passphrase|secret(?:[_-]?access)?(?:[_-]?(?:key|id))?|private_?key|psk|\\bpwd|\\b(?:access|refresh|id|auth|session|client|security|vault)[_-]?token|\\b(?:api|auth|hmac|mac|account)[_-]?key|\\bassertion',
  ),
  // "token: denied" is a sentence; token=…, "token": … and token: '…' are not; likewise the signature of a URL, and Digest's response.
  [
    /(\b(?:token|sig|signature|response)(?:\s{0,4}=\s{0,4}|["']\s{0,4}:\s{0,4}|\s{0,4}:\s{0,4}(?=["'])))(?:"[^"]*"|'[^']*'|["']?[^\s,;&"'{}[\]]+)/gi,
    `$1${hidden}`,
  ],
  [/\b((?:set-)?cookie:\s{0,4})[^\r\n]+/gi, `$1${hidden}`],
];

/** `name=value`, `name: value` and `"name": "value"`; a value in quotes may be cut off. */
function named(names: string, unless = ''): readonly [RegExp, string] {
  const value = String.raw`(?:"(?:[^"\\]|\\.)*"|'[^']*'|["']?[^\s,;&"'{}[\]]+)`;
  const form = String.raw`((?:${names})["']?\s{0,4}[=:]\s{0,4})${unless}${value}`;
  return [new RegExp(form, 'gi'), `$1${hidden}`];
}

/** No rule finds anything in a text without one of these: most texts are a name, a number or a code. */
const suspicious =
  /[\s:=<]|-----|ya29|1\/\/0|GOCSPX|AIza|hv[sbr]\.|[sbr]\.[A-Za-z0-9]{24}|AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|xox|eyJ/;

/** The same text without bearer tokens, private keys, passwords in URLs and the like. */
export function scrub(text: string): string {
  if (text.length <= longestText && !suspicious.test(text)) return text;
  const short = text.length > longestText ? `${text.slice(0, longestText)}…` : text;
  return rules.reduce(
    (cleaned, [pattern, replacement]) => cleaned.replaceAll(pattern, replacement),
    short,
  );
}

/** Names of fields whose values are never shown, compared without case, hyphens and underscores. */
const hiddenNames = new Set([
  'assertion',
  'authorization',
  'challenge',
  'challengepassword',
  'cookie',
  'passphrase',
  'password',
  'pin',
  'prepared',
  'privatekey',
  'proxyauthorization',
  'secret',
  'signdata',
  'ticket',
  'token',
  'accesstoken',
  'idtoken',
  'refreshtoken',
  'clientsecret',
]);

/** Names that were seen before: a log has a few dozen. */
const seenNames = new Map<string, boolean>();
const mostSeenNames = 500;

function isHidden(name: string): boolean {
  const seen = seenNames.get(name);
  if (seen !== undefined) return seen;
  const isOne = hiddenNames.has(name.toLowerCase().replaceAll(/[-_]/g, ''));
  if (seenNames.size < mostSeenNames) seenNames.set(name, isOne);
  return isOne;
}

/** Anything nested deeper is left out. */
const deepest = 6;
/** In one list, and among the fields of one object. */
const mostEntries = 100;
/** In one whole line: what a library throws may hold its whole state. */
const mostValues = 1_000;
const mostCharacters = 64_000;

/** What may still be written in one line. */
interface Room {
  values: number;
  characters: number;
}

/**
 * A copy for the log: fields with a secret's name are hidden, texts are scrubbed, bytes are only counted, and what is
 * endless is cut. Never throws, whatever somebody has thrown: a message that is not text, or a field that throws when
 * it is read.
 */
export function scrubbed(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return scrubbedFields(fields, 0, { values: mostValues, characters: mostCharacters });
}

function scrubbedFields(fields: object, depth: number, room: Room): Record<string, unknown> {
  const names = Object.keys(fields);
  const copy: Record<string, unknown> = {};
  for (const name of names.slice(0, mostEntries)) {
    // This makes it a field like any other, and not the copy's prototype.
    if (name === '__proto__') continue;
    const value = readable(() => Reflect.get(fields, name));
    copy[name] =
      isHidden(name) && value !== undefined ? hidden : scrubbedValue(value, depth + 1, room);
  }
  return names.length > mostEntries ? { ...copy, '…': more(names) } : copy;
}

function scrubbedValue(value: unknown, depth: number, room: Room): unknown {
  if (typeof value === 'string') return scrubbedText(value, room);
  if (typeof value === 'symbol' || typeof value === 'function') return `[${typeof value}]`;
  if (typeof value !== 'object' || value === null) return value;
  room.values -= 1;
  if (room.values < 0) return '[too much]';
  if (depth > deepest) return '[too deep]';
  return readable(() => scrubbedObject(value, depth, room));
}

function scrubbedText(text: string, room: Room): string {
  const clean = scrub(text).slice(0, room.characters);
  room.characters -= clean.length;
  return clean;
}

function scrubbedObject(value: object, depth: number, room: Room): unknown {
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof Error) return scrubbedError(value, depth, room);
  if (!Array.isArray(value)) return scrubbedFields(value, depth, room);
  const copy = value.slice(0, mostEntries).map((entry) => scrubbedValue(entry, depth + 1, room));
  return value.length > mostEntries ? [...copy, more(value)] : copy;
}

/** An error with its stack and its causes; of what a library attached to it, only the code is kept. */
function scrubbedError(error: Error, depth: number, room: Room): Record<string, unknown> {
  const part = (name: 'name' | 'message' | 'stack' | 'code' | 'cause', at: number) =>
    scrubbedValue(
      readable(() => Reflect.get(error, name)),
      at,
      room,
    );
  return {
    type: part('name', deepest),
    message: part('message', deepest),
    stack: part('stack', deepest),
    ...('code' in error ? { code: part('code', deepest) } : {}),
    ...('cause' in error && error.cause !== undefined ? { cause: part('cause', depth + 1) } : {}),
  };
}

/** If a getter or a proxy throws, only that is said: what it throws may be no better. */
function readable(read: () => unknown): unknown {
  try {
    return read();
  } catch {
    return '[cannot be read]';
  }
}

function more({ length }: { readonly length: number }): string {
  return `and ${length - mostEntries} more`;
}
