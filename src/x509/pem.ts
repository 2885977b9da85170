import { DerError, readSingle, tag } from './der.ts';

/** One block of a PEM text. */
export interface PemBlock {
  /** What stands after BEGIN, e.g. `CERTIFICATE`. */
  readonly label: string;
  readonly der: Uint8Array;
}

/** What is read at most: 1 MiB of text with 200 blocks. */
const mostCharacters = 1024 * 1024;
const mostBlocks = 200;

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
 * writes it; inside a block only base64 is allowed.
 *
 * @param label when given, every block must have it.
 * @throws {PemError}
 */
export function decodePem(text: string, label?: string): PemBlock[] {
  if (text.length > mostCharacters) {
    throw new PemError(`The PEM text is longer than ${mostCharacters} characters.`);
  }
  const blocks: PemBlock[] = [];
  let open: { readonly label: string; readonly line: number; base64: string } | undefined;
  for (const [index, whole] of text.split(/\r\n|\n|\r/).entries()) {
    const line = whole.trim();
    const boundary = /^-----(BEGIN|END) ([A-Z0-9][A-Z0-9 ]*)-----$/.exec(line);
    if (boundary === null) {
      if (line.startsWith('-----')) throw problem(index, 'is not a whole BEGIN or END line');
      if (open !== undefined) open.base64 += base64Line(line, index);
      continue;
    }
    const [, side, found = ''] = boundary;
    if (side === 'BEGIN') {
      if (open !== undefined) throw problem(index, `begins a block inside ${open.label}`);
      if (label !== undefined && found !== label) {
        throw problem(index, `begins a ${found} where only ${label} belongs`);
      }
      if (blocks.length === mostBlocks) throw problem(index, `begins block ${mostBlocks + 1}`);
      open = { label: found, line: index, base64: '' };
    } else {
      if (open === undefined) throw problem(index, 'ends a block that did not begin');
      if (open.label !== found) throw problem(index, `ends ${found}, but ${open.label} is open`);
      blocks.push({ label: found, der: decodeBase64(open.base64, open.line) });
      open = undefined;
    }
  }
  if (open !== undefined) throw problem(open.line, `begins a ${open.label} that does not end`);
  if (blocks.length === 0) {
    throw new PemError(`There is no PEM block (-----BEGIN ${label ?? '…'}-----) in the text.`);
  }
  return blocks;
}

/**
 * Certificates from a file or an answer: one in DER, or one or more in PEM. The result is DER each,
 * in their order; whether they are certificates is for `readCertificate` to say.
 *
 * @throws {PemError} when it is neither.
 */
export function readCertificates(input: Uint8Array | string): Uint8Array[] {
  // The digit 0 is the same byte as a SEQUENCE's tag, but no PEM text starts with it.
  if (typeof input !== 'string' && input[0] === tag.sequence) return [wholeDer(input)];
  const text = typeof input === 'string' ? input : Buffer.from(input).toString('latin1');
  return decodePem(text, 'CERTIFICATE').map((block) => block.der);
}

function wholeDer(input: Uint8Array): Uint8Array {
  try {
    return readSingle(input, tag.sequence, 'The certificate').bytes;
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    throw new PemError(`This is neither PEM nor one DER structure. ${error.message}.`, {
      cause: error,
    });
  }
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
