import type { DeviceSpecInput } from '../../simulator/device-spec.ts';

/*
 * The devices of a campaign: what each does, which authority it asks, and how its process must end. Together
 * they bring every stage and every ending.
 */

export type Expected =
  | { readonly kind: 'delivered' }
  /** Refused, and the device was told this code. */
  | { readonly kind: 'refused'; readonly code: string }
  /** Google forgot the process; nobody may keep a certificate of it. */
  | { readonly kind: 'gone' };

export interface Group {
  readonly name: string;
  /** Of each wave, in parts. */
  readonly share: number;
  readonly expected: Expected;
  readonly spec: DeviceSpecInput;
}

const delivered: Expected = { kind: 'delivered' };
const gone: Expected = { kind: 'gone' };
const ec = { key: 'ec' } as const;
const user = { subject: 'user' } as const;
/** An instance that dies while it asks is replaced before these have signed: only then is there something to wait for. */
const slow = { signAfterMs: 7_000 } as const;
const surplus = { ...ec, caConnection: 'surplus_ca' } as const;

export const groups: readonly Group[] = [
  { name: 'rsa device', share: 8, expected: delivered, spec: { key: 'rsa' } },
  { name: 'ec device', share: 8, expected: delivered, spec: ec },
  { name: 'rsa user', share: 3, expected: delivered, spec: { key: 'rsa', ...user } },
  { name: 'ec user', share: 3, expected: delivered, spec: { ...ec, ...user } },
  { name: 'slow rsa user', share: 3, expected: delivered, spec: { key: 'rsa', ...user, ...slow } },
  { name: 'slow ec user', share: 3, expected: delivered, spec: { ...ec, ...user, ...slow } },
  { name: 'no idempotency', share: 6, expected: delivered, spec: surplus },
  {
    name: 'pending order',
    share: 3,
    expected: delivered,
    spec: { ...surplus, profileReference: 'pending_profile' },
  },
  {
    name: 'declined by the CA',
    share: 2,
    expected: { kind: 'refused', code: 'ca-rejected' },
    spec: { ...surplus, ...user, profileReference: 'device_profile' },
  },
  {
    name: 'unknown CA',
    share: 1,
    expected: { kind: 'refused', code: 'authority-unknown' },
    spec: { ...ec, caConnection: 'nobody' },
  },
  {
    name: 'unknown profile',
    share: 1,
    expected: { kind: 'refused', code: 'profile-unknown' },
    spec: { ...ec, profileReference: 'nothing' },
  },
  {
    name: 'signed by another key',
    share: 2,
    expected: { kind: 'refused', code: 'signature-invalid' },
    spec: { ...ec, signs: 'wrong-key' },
  },
  { name: 'gone at once', share: 1, expected: gone, spec: { ...ec, gone: 'at-once' } },
  { name: 'gone when claimed', share: 1, expected: gone, spec: { ...ec, gone: 'after-claim' } },
  { name: 'gone when signed', share: 1, expected: gone, spec: { ...ec, gone: 'after-signing' } },
  { name: 'gone at upload', share: 2, expected: gone, spec: { ...ec, gone: 'at-upload' } },
  {
    name: 'gone at upload, no idempotency',
    share: 1,
    expected: gone,
    spec: { ...surplus, gone: 'at-upload' },
  },
  {
    name: 'gone at upload, cannot be revoked',
    share: 1,
    expected: gone,
    spec: { ...surplus, caConnection: 'unrevoking_ca', gone: 'at-upload' },
  },
];

/** With it a CA shows that it issues for the profile of those whom it declines; or its rejections are not believed. */
const first = 'no idempotency';

/**
 * The group of each of `count` devices: a good one for the CA that declines some, then evenly spread, so that every
 * part of the campaign has all of them.
 */
export function* population(count: number): Generator<Group> {
  const whole = groups.reduce((sum, { share }) => sum + share, 0);
  const owed = groups.map((group) => ({
    group,
    credit: group.name === first ? whole : group.share / 2,
  }));
  for (let made = 0; made < count; made += 1) {
    const due = owed.reduce((most, one) => (one.credit > most.credit ? one : most));
    due.credit -= whole;
    for (const one of owed) one.credit += one.group.share;
    yield due.group;
  }
}
