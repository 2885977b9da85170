import type { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import type { Opaque } from '../../src/plug-in/opaque.ts';

/**
 * A ticket as this kind gives it. One of another shape comes of another kind.
 *
 * @param what it is not then: `no ACME order`.
 * @throws {ProvisioningError} `ca-misconfigured`
 */
export function readTicket<Schema extends z.ZodType>(
  ticket: Opaque,
  schema: Schema,
  what: string,
): z.output<Schema> {
  const read = schema.safeParse(ticket);
  if (read.success) return read.data;
  throw new ProvisioningError(
    'ca-misconfigured',
    `The ticket of the pending order is ${what}. Was the kind of this authority changed while orders were open?`,
  );
}
