import { DerError, readSingle, tag } from './der.ts';
import { certificatesOfPkcs7, isPkcs7 } from './pkcs7.ts';

/** One block of a PEM text. */
export interface PemBlock {
  /** What stands after BEGIN, e.g. `CERTIFICATE`. */
  readonly label: string;
  readonly der: Uint8Array;
}

/** What is read at most: 1 MiB of text with 1,000 blocks; a system's bundle of CAs has some 150. */
const mostCharacters = 1024 * 1024;
const mostBlocks = 1_000;

/** A text that is not PEM. The message says what is wrong and in which line. */
export class PemError extends Error {
  override readonly name = 'PemError';
}

/** PEM (RFC 7468) with lines of 64 columns and a line break at the end. */
export function encodePem(label: string, der: Uint8Array): string {
  const base64 = Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString('base64');
  const lines = base64.match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/**
 * The blocks of a PEM text (RFC 7468), at least one. Text between blocks is skipped, as `openssl x509 -text`
 * writes it; inside a block only base64 is allowed. A byte order mark, and line breaks that were written as
 * `\n` to fit into one line of an environment file, are understood.
 *
 * @param label when given, every block must have it; `CERTIFICATE` has the old names of RFC 7468 5.1, too.
 * @throws {PemError}
 */
export function decodePem(given: string, label?: string): PemBlock[] {
  if (given.length > mostCharacters) {
    throw new PemError(`The PEM text is longer than ${mostCharacters} characters.`);
  }
  const text = unfoldPem(given);
  const blocks: PemBlock[] = [];
  let open: { readonly label: string; readonly line: number; base64: string } | undefined;
  for (const [index, whole] of text.split(/\r\n|\n|\r/).entries()) {
    const line = whole.trim();
    const boundary = boundaryForm.exec(line);
    if (boundary === null) {
      if (tornBoundary.test(line)) throw problem(index, 'is not a whole BEGIN or END line');
      if (open !== undefined) open.base64 += base64Line(line, index);
      continue;
    }
    const [, side, found = ''] = boundary;
    if (side === 'BEGIN') {
      if (open !== undefined) throw problem(index, `begins a block inside ${open.label}`);
      if (label !== undefined && usualLabel(found) !== label) {
        throw problem(index, `begins a ${found} where only ${label} belongs${adviceFor(found)}`);
      }
      if (blocks.length === mostBlocks) throw problem(index, `begins block ${mostBlocks + 1}`);
      open = { label: found, line: index, base64: '' };
    } else {
      if (open === undefined) throw problem(index, 'ends a block that did not begin');
      if (open.label !== found) throw problem(index, `ends ${found}, but ${open.label} is open`);
      blocks.push({ label: usualLabel(found), der: decodeBase64(open.base64, open.line) });
      open = undefined;
    }
  }
  if (open !== undefined) throw problem(open.line, `begins a ${open.label} that does not end`);
  if (blocks.length === 0) {
    throw new PemError(`There is no PEM block (-----BEGIN ${label ?? '…'}-----) in the text.`);
  }
  return blocks;
}

/** RFC 7468 3: a label is printable ASCII; a dash or a space stands between its words. */
const boundaryForm = /^-----(BEGIN|END) ([!-,.-~]+(?:[- ][!-,.-~]+)*)-----$/;
/** Too few dashes, or none at the end: to skip it would lose a block. */
const tornBoundary = /^-{3,}\s*(?:BEGIN|END)\b/;

/** RFC 7468 5.1 and 8. */
const oldLabels: Readonly<Record<string, string>> = {
  'X509 CERTIFICATE': 'CERTIFICATE',
  'X.509 CERTIFICATE': 'CERTIFICATE',
};

function usualLabel(label: string): string {
  return oldLabels[label] ?? label;
}

function adviceFor(label: string): string {
  return label === 'TRUSTED CERTIFICATE'
    ? '; it is OpenSSL’s own form with its settings of trust, which would be lost: write the certificate alone with openssl x509 -in OLD -out NEW'
    : '';
}

/**
 * PEM made ready to read: without byte order marks (also inside, where files were joined), with a line break between
 * two blocks, without quotes around the whole, without indentation, and with real line breaks in place of `\n`.
 * Editors, `cat`, environment files and JSON leave these behind, and OpenSSL reads none of them.
 *
 * @throws {PemError} when it was UTF-16.
 */
export function unfoldPem(given: string): string {
  if (given.includes('-\0') || given.includes('\0-')) {
    throw new PemError(
      'The PEM text is UTF-16, as PowerShell’s > writes it. Convert it: iconv -f UTF-16 -t UTF-8 OLD > NEW, or in PowerShell: Get-Content OLD | Set-Content -Encoding ascii NEW.',
    );
  }
  const text = given
    .replaceAll(/\uFEFF|\xEF\xBB\xBF/g, '')
    .replaceAll(/(-----END [^-\r\n]+-----)(-----BEGIN )/g, '$1\n$2')
    .replaceAll(/^[ \t]+/gm, '');
  if (!/-----(?:\\r)?\\n/.test(text)) return text;
  return text
    .trim()
    .replace(/^(["'])(.*)\1$/s, '$2')
    .replaceAll(/(?:\\r)?\\n/g, '\n');
}

/**
 * Certificates from a file or an answer: one in DER, one or more in PEM, or a PKCS#7 bag of them (.p7b) in either
 * form. The result is DER each, in their order; `readCertificate` decides whether they are certificates.
 *
 * @throws {PemError} when it is none of these.
 */
export function readCertificates(input: Uint8Array | string): Uint8Array[] {
  // The digit 0 is the same byte as a SEQUENCE's tag, but no PEM text starts with it.
  if (typeof input !== 'string' && input[0] === tag.sequence) {
    return isPkcs7(input) ? bagOf(input) : [wholeDer(input)];
  }
  const text = typeof input === 'string' ? input : Buffer.from(input).toString('latin1');
  const isBag = /-----BEGIN (?:PKCS7|CMS|PKCS #7 SIGNED DATA)-----/.test(text);
  // Windows writes a bag of certificates under the label of a single one.
  return decodePem(text, isBag ? undefined : 'CERTIFICATE').flatMap(({ label, der }) =>
    label !== 'CERTIFICATE' || isPkcs7(der) ? bagOf(der) : [der],
  );
}

/** The same for a file of ours, in which the private key may be beside its certificates. */
export function readOwnCertificates(input: Uint8Array): Uint8Array[] {
  if (input[0] === tag.sequence) return readCertificates(input);
  const text = Buffer.from(input).toString('latin1');
  return readCertificates(text.replace(privateKeyBlocks, ''));
}

const privateKeyBlocks =
  /-----BEGIN ([A-Z ]*PRIVATE KEY|EC PARAMETERS)-----[\s\S]*?-----END \1-----[\r\n]*/g;

function bagOf(input: Uint8Array): Uint8Array[] {
  try {
    const found = certificatesOfPkcs7(input);
    if (found.length > 0) return found;
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    throw new PemError(`The PKCS#7 bag cannot be read. ${error.message}.`, { cause: error });
  }
  throw new PemError('The PKCS#7 bag holds no certificate.');
}

function wholeDer(input: Uint8Array): Uint8Array {
  try {
    const { bytes, content } = readSingle(input, tag.sequence, 'The certificate');
    if (content[0] !== tag.integer) return bytes;
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    throw new PemError(`This is neither PEM nor one DER structure. ${error.message}.`, {
      cause: error,
    });
  }
  throw new PemError(
    'This is a PKCS#12 file (.p12, .pfx) or a private key, and no certificate. Take the certificates out: openssl pkcs12 -in OLD -nokeys -out NEW.',
  );
}

function base64Line(line: string, index: number): string {
  if (/^[A-Za-z0-9+/]*={0,2}$/.test(line)) return line;
  if (line.includes(':')) {
    throw problem(index, 'is a header: encrypted or annotated PEM is not supported');
  }
  throw problem(index, 'is not base64');
}

function decodeBase64(base64: string, line: number): Uint8Array {
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.length === 0) throw problem(line, 'begins an empty block');
  // Node decodes whatever it can; only what encodes to the same text again was whole base64.
  if (bytes.toString('base64') !== base64) throw problem(line, 'begins a block of broken base64');
  return new Uint8Array(bytes);
}

function problem(index: number, text: string): PemError {
  return new PemError(`Line ${index + 1} of the PEM text ${text}.`);
}
