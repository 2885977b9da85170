import type { OrderFacts, ProcessRecord } from './process-record.ts';

/**
 * What is kept of a process that has ended: who got what, when and from whom. What was needed only on the way goes,
 * and with it any secret that an authority may have put there.
 */
export function inventoryOf(record: ProcessRecord): ProcessRecord {
  const { signing: _signed, csr: _ordered, verdict: _believed, trouble: _over, ...rest } = record;
  const { order, issued, customer, age: _passed, overruled: _once, ...kept } = rest;
  // One that was never claimed may be announced again, under whatever customer.
  const isOurs = record.claim?.claimedAt !== undefined && customer !== undefined;
  return {
    ...kept,
    ...(isOurs ? { customer } : {}),
    ...(order === undefined ? {} : { order: withoutTicket(order) }),
    ...(issued === undefined ? {} : { issued: { ...issued, chain: [] } }),
  };
}

function withoutTicket({ ticket: _answered, ...order }: OrderFacts): OrderFacts {
  return order;
}
