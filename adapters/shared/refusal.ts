import type { Issuance } from '../../src/plug-in/certificate-authority.ts';

/** The CA decided against the request itself. Its words are the message. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
}

/** An order's answer, where a {@link Refusal} is one too. */
export async function decided(order: Promise<Issuance>): Promise<Issuance> {
  try {
    return await order;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { kind: 'rejected', reason: error.message };
  }
}
