/** Something is not UTF-8 text. The message says what it is and how to convert it; it quotes nothing. */
export class TextError extends Error {
  override readonly name = 'TextError';
}

/**
 * The text of a file or an answer, without the byte order mark that Windows editors put in front.
 *
 * @throws {TextError} when it is UTF-16, as PowerShell's `>` writes it, or not UTF-8.
 */
export function plainText(bytes: Uint8Array): string {
  const text = inUtf8(bytes);
  if (text !== undefined && !text.includes('\0')) return text;
  throw new TextError(utf16Problem(bytes) ?? 'it is not text in UTF-8');
}

/** Undefined when the bytes are not UTF-16. */
function utf16Problem(bytes: Uint8Array): string | undefined {
  const [first, second] = bytes;
  const hasMark = (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);
  // Without a mark: in what people write, every second byte is zero.
  const hasZeros = bytes.length >= 4 && (bytes[0] === 0) !== (bytes[1] === 0);
  if (!hasMark && !(hasZeros && (bytes[0] === 0) === (bytes[2] === 0))) return undefined;
  return 'it is text in UTF-16, as PowerShell’s > writes it; convert it to UTF-8: iconv -f UTF-16 -t UTF-8 OLD > NEW, or in PowerShell: Get-Content OLD | Set-Content -Encoding utf8 NEW';
}

function inUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    // Its error says no more than that, and might not even say where.
    return undefined;
  }
}
