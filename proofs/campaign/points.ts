import type { ProvisioningApi } from '../../src/google/provisioning-api.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { type State, states } from '../../src/lifecycle/lifecycle.ts';
import type { Delivery } from '../../src/notification/inbox.ts';
import type { CertificateAuthority } from '../../src/plug-in/certificate-authority.ts';

/*
 * Every place in which an instance can be made to die: before and after each call of each port, in each
 * state of the lifecycle. The list is made from the ports' own types and the lifecycle's own states: a new
 * method does not compile before it is given a rule here, a new state is in the list by itself, and a point
 * that is passed although its rule says that it cannot be is a breach.
 */

/** A state of the lifecycle, or outside of every step: the loops that take notifications and entries. */
export type Where = State | 'loops';
const moments = ['before', 'after'] as const;
export type Moment = (typeof moments)[number];

interface Rule {
  readonly where: readonly Where[];
  /** Why it does not happen elsewhere. */
  readonly elsewhere: string;
  /** Where it can happen, but only under conditions that a campaign cannot order. */
  readonly seldom?: Partial<Record<Where, string>>;
  /** The point at which an instance has to die before another one comes here. */
  readonly preludes?: Partial<Record<Where, string>>;
}

type MethodOf<Port> = Exclude<
  {
    [Key in keyof Port]-?: NonNullable<Port[Key]> extends (...args: never[]) => unknown
      ? Key
      : never;
  }[keyof Port],
  symbol
>;

interface Ports {
  readonly api: ProvisioningApi;
  readonly authority: CertificateAuthority;
  /** An instance that registers a listener has not begun anything yet. */
  readonly journal: Omit<Journal, 'onWake'>;
  readonly delivery: Delivery;
}
export type Port = keyof Ports;

const claimOnly = 'only the claim asks for it';
const withAuthority = 'no authority has answered';
const seldomChanges =
  'an authority’s standing changes with its first certificate, and then hardly ever';
const standingChanges = {
  loops: seldomChanges,
  'ask-signature': seldomChanges,
  order: seldomChanges,
  'await-certificate': seldomChanges,
  deliver: seldomChanges,
};
const loopsOnly = 'no step does it, only the loops';
const unwatched = 'Google’s record is not looked at here';

const rules: { readonly [P in Port]: Readonly<Record<MethodOf<Ports[P]>, Rule>> } = {
  api: {
    get: {
      where: ['claim', 'ask-signature', 'await-signature', 'deliver', 'refuse'],
      elsewhere: unwatched,
      preludes: {
        'ask-signature': 'ask-signature api.signData before',
        'await-signature': 'ask-signature api.signData after',
        deliver: 'deliver api.uploadCertificate after',
        refuse: 'refuse api.setFailure after',
      },
    },
    claim: { where: ['claim'], elsewhere: claimOnly },
    signData: { where: ['ask-signature'], elsewhere: 'the device is asked in this state only' },
    operation: { where: ['await-signature'], elsewhere: 'the operation is over, or not begun' },
    uploadCertificate: { where: ['deliver'], elsewhere: 'there is nothing to upload' },
    setFailure: { where: ['refuse'], elsewhere: 'nothing was refused' },
  },
  authority: {
    check: { where: ['loops'], elsewhere: 'no step does it, only the watch' },
    prepare: { where: ['ask-signature'], elsewhere: 'the bytes to sign are fixed once' },
    issue: { where: ['order'], elsewhere: 'only an order is ordered' },
    collect: { where: ['await-certificate'], elsewhere: 'no order is pending' },
    revoke: {
      where: ['wind-up'],
      elsewhere: 'there is no certificate, or it is good',
      seldom: {
        order: 'the lease was lost while a CA without idempotency answered',
        'await-certificate': 'the lease was lost while a CA without idempotency answered',
        deliver: 'the certificate failed its check for 15 minutes',
      },
    },
  },
  journal: {
    open: { where: ['loops'], elsewhere: loopsOnly },
    takeDue: { where: ['loops'], elsewhere: loopsOnly },
    nextDueAt: { where: ['loops'], elsewhere: loopsOnly },
    settleDue: { where: ['loops'], elsewhere: loopsOnly },
    now: { where: ['loops'], elsewhere: loopsOnly },
    summary: { where: ['loops'], elsewhere: loopsOnly },
    prune: { where: ['loops'], elsewhere: loopsOnly },
    probe: { where: ['loops'], elsewhere: loopsOnly },
    hasten: { where: [], elsewhere: loopsOnly, seldom: { loops: 'it is done at the start only' } },
    standing: { where: ['loops'], elsewhere: withAuthority, seldom: standingChanges },
    writeStanding: { where: [], elsewhere: withAuthority, seldom: standingChanges },
    backup: { where: [], elsewhere: 'nobody asks for one' },
    save: {
      where: states.filter((state) => state !== 'deliver'),
      elsewhere: 'every write belongs to a state',
      seldom: { deliver: 'an upload takes long or fails for now, or the certificate its check' },
    },
    close: {
      where: ['claim', 'ask-signature', 'await-signature', 'deliver', 'refuse', 'wind-up'],
      elsewhere: 'no process ends here',
    },
  },
  delivery: {
    acknowledge: { where: ['loops'], elsewhere: loopsOnly },
    release: {
      where: [],
      elsewhere: loopsOnly,
      seldom: { loops: 'the journal could not be written' },
    },
  },
};

export interface Point {
  readonly name: string;
  readonly reach: 'reachable' | 'seldom' | 'unreachable';
  /** Why it is not simply reachable. */
  readonly because?: string;
  readonly prelude?: string;
}

export function pointName(where: Where, port: Port, method: string, moment: Moment): string {
  return `${where} ${port}.${method} ${moment}`;
}

export function isMethod(port: Port, method: string): boolean {
  return Object.hasOwn(rules[port], method);
}

const places: readonly Where[] = ['loops', ...states];

export const points: readonly Point[] = places.flatMap((where) =>
  Object.entries(rules).flatMap(([port, methods]) =>
    Object.entries<Rule>(methods).flatMap(([method, rule]) =>
      moments.map((moment) => pointOf(where, port as Port, method, moment, rule)),
    ),
  ),
);

function pointOf(where: Where, port: Port, method: string, moment: Moment, rule: Rule): Point {
  const name = pointName(where, port, method, moment);
  if (rule.where.includes(where)) {
    const prelude = rule.preludes?.[where];
    return { name, reach: 'reachable', ...(prelude === undefined ? {} : { prelude }) };
  }
  const seldom = rule.seldom?.[where];
  if (seldom !== undefined) return { name, reach: 'seldom', because: seldom };
  return { name, reach: 'unreachable', because: rule.elsewhere };
}
