import { createRequire } from 'node:module';
import type { BaseBlock } from 'asn1js';
import { messageOf } from '../words/message-of.ts';
import { DerError, tag } from './der.ts';

/*
 * BER (X.690), as CMS may be written (RFC 5652 2): lengths that are not given, strings in pieces. asn1js reads it,
 * within limits. It is loaded with the first such message: no certificate needs it on its way to a device.
 */

const library = createRequire(import.meta.url);
const asn1js = (): typeof import('asn1js') => library('asn1js');

/** asn1js recurses. A certificate has a hundred nodes or two, and lies some twenty deep in a message. */
const limits = { maxDepth: 40, maxNodes: 20_000, maxContentLength: 256 * 1024 };

/** One encoded value. */
export class BerElement {
  readonly #block: BaseBlock;

  constructor(block: BaseBlock) {
    this.#block = block;
  }

  /** The tag's first byte. */
  get tag(): number {
    return this.bytes[0] ?? 0;
  }

  /** As it was written: tag, length and content. */
  get bytes(): Uint8Array {
    const { buffer, byteOffset, byteLength } = this.#block.valueBeforeDecodeView;
    return new Uint8Array(buffer, byteOffset, byteLength);
  }

  /** Whether nothing inside goes on beyond the end of what is around it, which asn1js lets pass. */
  get isContained(): boolean {
    const { idBlock, lenBlock } = this.#block;
    if (!idBlock.isConstructed) return true;
    const inside = this.parts.reduce((sum, part) => sum + part.#block.blockLength, 0);
    return (
      (lenBlock.isIndefiniteForm || lenBlock.length === inside) &&
      this.parts.every((part) => part.isContained)
    );
  }

  /** What a constructed value consists of. @throws {DerError} for another one. */
  get parts(): readonly BerElement[] {
    const { idBlock, valueBlock } = this.#block;
    if (idBlock.isConstructed && 'value' in valueBlock && Array.isArray(valueBlock.value)) {
      return valueBlock.value.map((block) => new BerElement(block));
    }
    throw new DerError('A value stands where a list belongs');
  }

  /** The bytes of a string, also of one in pieces, which asn1js itself looks for one deep only. @throws {DerError} */
  get octets(): Uint8Array {
    const { idBlock, valueBlock } = this.#block;
    if (idBlock.isConstructed) return Buffer.concat(this.parts.map(octetsOfPiece));
    if ('valueHexView' in valueBlock && valueBlock.valueHexView instanceof Uint8Array) {
      return new Uint8Array(valueBlock.valueHexView);
    }
    throw new DerError('A string is none');
  }
}

function octetsOfPiece(piece: BerElement): Uint8Array {
  if ((piece.tag & ~constructed) === tag.octetString) return piece.octets;
  throw new DerError('A string has a piece that is none');
}

const constructed = 0x20;

/** One whole value. @param what names it in errors. @throws {DerError} */
export function readBer(bytes: Uint8Array, what: string): BerElement {
  const { offset, result } = decoded(bytes, what);
  if (offset === -1) throw new DerError(`${what} cannot be read: ${result.error}`);
  if (offset !== bytes.length) throw new DerError(`${what} has bytes after its end`);
  const element = new BerElement(result);
  if (!element.isContained) throw new DerError(`${what} has a value that is too long`);
  return element;
}

function decoded(bytes: Uint8Array, what: string) {
  try {
    return asn1js().fromBER(bytes, limits);
  } catch (error) {
    throw new DerError(`${what} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}
