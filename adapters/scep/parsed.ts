import { AsnConvert } from '@peculiar/asn1-schema';
import { messageOf } from '../../src/words/message-of.ts';
import { DerError } from '../../src/x509/der.ts';

/**
 * A structure of @peculiar/asn1-cms from its bytes, which came through the limits of `readBer` before.
 *
 * @param what names it in errors.
 * @throws {DerError}
 */
export function parsed<Structure>(
  bytes: Uint8Array,
  structure: new () => Structure,
  what: string,
): Structure {
  try {
    return AsnConvert.parse(bytes, structure);
  } catch (error) {
    const reason = messageOf(error);
    throw new DerError(`${what} cannot be read: ${reason}`, { cause: error });
  }
}
