import fc from 'fast-check';
import type { Journal, LeasedEntry } from '../../src/journal/journal.ts';
import type { Outcome, Room } from '../../src/request/room.ts';

/** One step of a random history. Times are offsets from the moment of the step, in milliseconds. */
export type Operation =
  | { readonly kind: 'advance'; readonly byMs: number }
  | { readonly kind: 'open'; readonly id: string; readonly customer: string }
  | { readonly kind: 'take'; readonly limit: number; readonly leaseMs: number }
  | {
      readonly kind: 'save';
      readonly lease: number;
      readonly room: Room;
      readonly dueInMs?: number;
      readonly mark: string;
    }
  | { readonly kind: 'close'; readonly lease: number; readonly outcome: Outcome }
  | { readonly kind: 'prune'; readonly ageMs: number; readonly limit: number }
  | { readonly kind: 'hasten'; readonly room: Room }
  | { readonly kind: 'next' }
  | { readonly kind: 'summary' };

export type Answer = { readonly value: unknown } | { readonly error: string };

const room = fc.constantFrom<Room>('claim', 'possession', 'issue', 'deliver');
const outcome = fc.constantFrom<Outcome>('delivered', 'refused', 'yielded', 'gone');
const aWhile = fc.constantFrom(0, 1, 5, 10, 1_000);

const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ kind: fc.constant('advance' as const), byMs: aWhile }),
  fc.record({
    kind: fc.constant('open' as const),
    id: fc.constantFrom('a', 'b', 'c', 'd'),
    customer: fc.constantFrom('my_customer', 'C1', 'C2'),
  }),
  fc.record({ kind: fc.constant('take' as const), limit: fc.nat(3), leaseMs: aWhile }),
  fc.record(
    {
      kind: fc.constant('save' as const),
      lease: fc.nat(20),
      room,
      dueInMs: fc.constantFrom(-5, 0, 1, 10),
      mark: fc.string({ maxLength: 5 }),
    },
    { requiredKeys: ['kind', 'lease', 'room', 'mark'] },
  ),
  fc.record({ kind: fc.constant('close' as const), lease: fc.nat(20), outcome }),
  fc.record({ kind: fc.constant('prune' as const), ageMs: aWhile, limit: fc.nat(2) }),
  fc.record({ kind: fc.constant('hasten' as const), room }),
  fc.record({ kind: fc.constant('next' as const) }),
  fc.record({ kind: fc.constant('summary' as const) }),
);

export const operations = fc.array(operation, { minLength: 1, maxLength: 60 });

/** @param held every lease that was ever taken, zombies too; a step picks one by its number. */
export async function apply(
  step: Exclude<Operation, { kind: 'advance' }>,
  journal: Journal,
  held: LeasedEntry[],
  now: number,
): Promise<Answer> {
  try {
    return { value: await answer(step, journal, held, now) };
  } catch (error) {
    return { error: error instanceof Error ? error.name : String(error) };
  }
}

async function answer(
  step: Exclude<Operation, { kind: 'advance' }>,
  journal: Journal,
  held: LeasedEntry[],
  now: number,
): Promise<unknown> {
  const { signal } = new AbortController();
  switch (step.kind) {
    case 'open':
      return journal.open({ customer: step.customer, processId: step.id }, signal);
    case 'take': {
      const taken = await journal.takeDue('one', step.limit, step.leaseMs, signal);
      held.push(...taken);
      return taken;
    }
    case 'save': {
      const leased = held[step.lease % held.length];
      if (leased === undefined) return 'nothing is held';
      const { mark, dueInMs } = step;
      const record = { claim: { callerInstanceId: mark, intendedAt: 1 } };
      const dueAt = dueInMs === undefined ? {} : { dueAt: now + dueInMs };
      return journal.save(leased, { record, room: step.room, ...dueAt }, signal);
    }
    case 'close': {
      const leased = held[step.lease % held.length];
      if (leased === undefined) return 'nothing is held';
      return journal.close(leased, { outcome: step.outcome, record: {} }, signal);
    }
    case 'prune':
      return journal.prune(now - step.ageMs, step.limit, signal);
    case 'hasten':
      return journal.hasten(step.room, signal);
    case 'next':
      return journal.nextDueAt(signal);
    case 'summary':
      return journal.summary(signal);
  }
}
