import { z } from 'zod';
import type { Opaque } from '../../src/plug-in/opaque.ts';
import { readTicket } from '../shared/ticket.ts';

/** Where a transaction stands: enough for another instance to go on with it. */
export interface Ticket {
  readonly transactionId: Uint8Array;
  readonly certReqId: number;
  /** The CA's last senderNonce. */
  readonly nonce?: Uint8Array | undefined;
  /** A certificate that the CA has given and that is still to be confirmed. DER. */
  readonly issued?: {
    readonly certificate: Uint8Array;
    readonly chain: readonly Uint8Array[];
  };
}

const bytes = (encoding: BufferEncoding) =>
  z.string().transform((text) => new Uint8Array(Buffer.from(text, encoding)));

const written = z.strictObject({
  transactionId: bytes('hex'),
  certReqId: z.int().min(-128).max(127),
  nonce: bytes('hex').optional(),
  issued: z
    .strictObject({ certificate: bytes('base64'), chain: z.array(bytes('base64')) })
    .optional(),
});

export function writeTicket(ticket: Ticket, nonce: Uint8Array | undefined): Opaque {
  const { transactionId, certReqId, issued } = ticket;
  const text = (der: Uint8Array) => Buffer.from(der).toString('base64');
  return {
    transactionId: Buffer.from(transactionId).toString('hex'),
    certReqId,
    ...(nonce === undefined ? {} : { nonce: Buffer.from(nonce).toString('hex') }),
    ...(issued === undefined
      ? {}
      : { issued: { certificate: text(issued.certificate), chain: issued.chain.map(text) } }),
  };
}

/** @throws {ProvisioningError} `ca-misconfigured` for what {@link writeTicket} did not write. */
export function transactionOf(ticket: Opaque): Ticket {
  const { issued, ...rest } = readTicket(ticket, written, 'none of CMP’s');
  return issued === undefined ? rest : { ...rest, issued };
}
