import { type CertificateAuthority, defineAdapter, type Opaque, z } from 'certprov';
import { DeviceKey } from '../../conformance/device-key.ts';
import myCa from '../../examples/my-ca/my-ca.ts';
import { ProvisioningError } from '../../src/errors.ts';
import type { ConnectContext } from '../../src/plug-in/certificate-authority.ts';
import { collectFrom } from '../support/collect-from.ts';

/*
 * The plug-in of the example with mistakes planted in it, those of its option `mistakes`. Each is one that an
 * author could make.
 */

const mistakeNames = [
  'certifies a key of its own',
  'loses names',
  'orders twice',
  'does not listen to its signal',
  'throws for a rejection',
  'tells its token',
  'keeps tickets to itself',
  'cannot revoke twice',
] as const;

export type Mistake = (typeof mistakeNames)[number];

type Spoiler = (ca: CertificateAuthority, token: string) => Partial<CertificateAuthority>;

const never = new AbortController().signal;

const spoilers: Readonly<Record<Mistake, Spoiler>> = {
  'certifies a key of its own': (ca) => ({
    issue(order, signal) {
      if (order.keyType !== 'rsa') return ca.issue(order, signal);
      return ca.issue({ ...order, csr: new DeviceKey('rsa').request(order.wanted) }, signal);
    },
  }),
  'loses names': (ca) => ({
    issue: (order, signal) =>
      ca.issue({ ...order, wanted: { ...order.wanted, template: 'short' } }, signal),
  }),
  'orders twice': (ca) => ({
    issue: (order, signal) => ca.issue({ ...order, requestId: crypto.randomUUID() }, signal),
  }),
  'does not listen to its signal': (ca) => ({ issue: (order) => ca.issue(order, never) }),
  'throws for a rejection': (ca) => ({
    async issue(order, signal) {
      const answer = await ca.issue(order, signal);
      if (answer.kind === 'rejected') throw new Error(answer.reason);
      return answer;
    },
  }),
  'tells its token': (ca, token) => ({
    async issue(order, signal) {
      try {
        return await ca.issue(order, signal);
      } catch (error) {
        if (!(error instanceof ProvisioningError)) throw error;
        throw new ProvisioningError(error.code, `With ${token}: ${error.message}`);
      }
    },
  }),
  'keeps tickets to itself': (ca) => {
    const tickets = new Map<string, Opaque>();
    return {
      async issue(order, signal) {
        const answer = await ca.issue(order, signal);
        if (answer.kind !== 'pending') return answer;
        tickets.set(order.processId, answer.ticket);
        return { ...answer, ticket: order.processId };
      },
      async collect(ticket, order, signal) {
        const kept = tickets.get(String(ticket));
        if (kept === undefined) throw new Error(`There is no ticket ${ticket}.`);
        return collectFrom(ca, kept, order, signal);
      },
    };
  },
  'cannot revoke twice': (ca) => {
    const revoked = new Set<string>();
    return {
      async revoke(certificate, reason, signal) {
        const known = Buffer.from(certificate).toString('hex');
        if (revoked.has(known)) throw new Error('The certificate is revoked already.');
        await ca.revoke?.(certificate, reason, signal);
        revoked.add(known);
      },
    };
  },
};

const options = myCa.options.extend({
  mistakes: z.array(z.enum(mistakeNames)).describe('Which mistakes it makes.'),
});

export default defineAdapter({
  kind: 'wrong-ca',
  options,
  async connect({ mistakes, ...given }, context: ConnectContext, signal) {
    const token = await context.readSecret(given.token);
    const right = await myCa.connect(given, context, signal);
    return mistakes.reduce(
      (ca, mistake) => ({ ...whole(ca), ...spoilers[mistake](ca, token) }),
      right,
    );
  },
});

function whole(ca: CertificateAuthority): CertificateAuthority {
  return { ...ca, [Symbol.asyncDispose]: () => ca[Symbol.asyncDispose]() };
}
