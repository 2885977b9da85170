import { type DerElement, DerError, tag } from './der.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const utf16be = new TextDecoder('utf-16be', { fatal: true, ignoreBOM: true });

/** The text of any ASN.1 string type that certificates use; undefined for another type. */
export function readText(element: DerElement): string | undefined {
  switch (element.tag) {
    case tag.utf8String:
      return decodeText(utf8, element.content);
    case tag.bmpString:
      return decodeText(utf16be, element.content);
    case tag.universalString:
      return utf32(element.content);
    case tag.printableString:
    case tag.ia5String:
    case tag.numericString:
    case tag.teletexString:
      // T.61 proper is dead; what is found with this tag is Latin-1.
      return Buffer.from(element.content).toString('latin1');
    default:
      return undefined;
  }
}

function decodeText(decoder: typeof utf8, content: Uint8Array): string {
  try {
    return decoder.decode(content);
  } catch (error) {
    throw new DerError('A string is not in its encoding', { cause: error });
  }
}

function utf32(content: Uint8Array): string {
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  let text = '';
  if (content.length % 4 !== 0) throw new DerError('A UniversalString is cut off');
  for (let at = 0; at < content.length; at += 4) {
    const point = view.getUint32(at);
    if (point > 0x10ffff) throw new DerError('A UniversalString has a character beyond Unicode');
    text += String.fromCodePoint(point);
  }
  return text;
}
