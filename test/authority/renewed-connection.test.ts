import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectRenewed } from '../../src/authority/renewed-connection.ts';
import { Events } from '../../src/events/events.ts';
import type {
  CertificateAuthority,
  ConnectContext,
} from '../../src/plug-in/certificate-authority.ts';
import { readSecret } from '../../src/plug-in/secret.ts';
import { collectFrom } from '../support/collect-from.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const { signal } = new AbortController();

describe('a connection whose files change', () => {
  let home: Awaited<ReturnType<typeof temporaryDirectory>>;
  let clock: ManualClock;
  let told: unknown[];
  /** Of every connection: the password that it read, and whether it was let go of. */
  let connections: { password: string; isClosed: boolean }[];
  let started: number;
  let open: CertificateAuthority[];

  beforeEach(async () => {
    home = await temporaryDirectory();
    clock = new ManualClock();
    told = [];
    connections = [];
    started = 0;
    open = [];
  });
  afterEach(async () => {
    for (const each of open) await each[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });

  const at = (name: string) => join(home.path, name);

  /** Answers each order with the password that it was connected with. */
  async function connected(file = './password', held?: Promise<void>) {
    const events = new Events();
    events.on('reread', (each) => told.push(each));
    const context: ConnectContext = {
      clock,
      resolvePath: at,
      readSecret: (reference) => readSecret(reference, {}, home.path),
    };
    const connect = async (inner: ConnectContext): Promise<CertificateAuthority> => {
      started += 1;
      const own = { password: await inner.readSecret({ file }), isClosed: false };
      if (own.password === 'of another user') throw new Error('the CA does not take it');
      connections.push(own);
      return {
        kind: 'test',
        features: {
          idempotent: true,
          pending: false,
          revoke: false,
          keyTypes: ['ec'],
          mayDrop: [],
        },
        check: async () => undefined,
        collect: async () => {
          await held;
          return { kind: 'rejected', reason: `${own.password} ${own.isClosed}` };
        },
        issue: async () => ({ kind: 'rejected', reason: own.password }),
        async [Symbol.asyncDispose]() {
          own.isClosed = true;
        },
      };
    };
    const renewal = { reference: 'wifi', directory: home.path, clock, events, connect };
    const authority = await connectRenewed(renewal, context);
    open.push(authority);
    return authority;
  }

  const soon = { interval: 2 };

  async function passwordOf(authority: CertificateAuthority): Promise<unknown> {
    return Reflect.get(await authority.issue({} as never, signal), 'reason');
  }

  /** A call some seconds later notices; the new connection takes over when it is made. */
  async function becomes(authority: CertificateAuthority, password: string): Promise<void> {
    clock.advance(10_000);
    await expect.poll(() => passwordOf(authority), soon).toBe(password);
  }

  it('uses a password that was changed, without a restart, and lets go of the old connection', async () => {
    await writeFile(at('password'), 'first\n');
    const authority = await connected();
    expect(await passwordOf(authority)).toBe('first');
    await writeFile(at('password'), 'second\n');
    await becomes(authority, 'second');
    await expect
      .poll(() => connections, soon)
      .toEqual([
        { password: 'first', isClosed: true },
        { password: 'second', isClosed: false },
      ]);
    expect(told).toEqual([{ authority: 'wifi' }]);
  });

  it('is not renewed at each order by an adapter that writes such a file itself', async () => {
    await writeFile(at('password'), '0');
    const authority = await connected();
    for (let order = 1; order <= 120; order += 1) {
      await writeFile(at('password'), `${order}`);
      clock.advance(30_000);
      await passwordOf(authority);
      // A renewal that an order began has ended before the next order.
      do await new Promise(setImmediate);
      while (told.length < started - 1);
    }
    expect(connections.length).toBeGreaterThan(3);
    expect(connections.length).toBeLessThan(20);
    clock.advance(3_600_000);
    await becomes(authority, '120');
  });

  it('follows a mounted secret whose directory is swapped by a symbolic link', async () => {
    for (const [version, text] of [
      ['..1', 'first'],
      ['..2', 'second'],
    ] as const) {
      await mkdir(at(version));
      await writeFile(join(at(version), 'password'), text);
    }
    await symlink('..1', at('..data'));
    await symlink('..data/password', at('password'));
    const authority = await connected();
    await symlink('..2', at('..new'));
    await rename(at('..new'), at('..data'));
    await becomes(authority, 'second');
  });

  it.each([
    ['is empty', () => writeFile(at('password'), ''), /is empty/],
    ['has vanished', () => rm(at('password')), /cannot be read/],
    ['is refused', () => writeFile(at('password'), 'of another user'), /does not take it/],
  ])(
    'keeps the old contents of a file that %s, says so once, and takes the next ones',
    async (_what, spoil, problem) => {
      await writeFile(at('password'), 'first');
      const authority = await connected();
      await spoil();
      for (let times = 0; times < 3; times += 1) {
        clock.advance(10_000);
        expect(await passwordOf(authority)).toBe('first');
        await expect.poll(() => told.length, soon).toBe(1);
      }
      expect(told).toEqual([{ authority: 'wifi', problem: expect.stringMatching(problem) }]);
      await writeFile(at('password'), 'third');
      await becomes(authority, 'third');
    },
  );

  it('leaves a file alone that is just being written', async () => {
    await writeFile(at('password'), 'first');
    const authority = await connected();
    await writeFile(at('password'), 'sec');
    clock.advance(1_000);
    await authority.check(signal);
    for (let turns = 0; turns < 20; turns += 1) await new Promise(setImmediate);
    expect(connections).toHaveLength(1);
    await writeFile(at('password'), 'second');
    await becomes(authority, 'second');
    expect(connections.map(({ password }) => password)).toEqual(['first', 'second']);
  });

  it('lets a call under way end with the connection that it began with', async () => {
    await writeFile(at('password'), 'first');
    const held = Promise.withResolvers<void>();
    const authority = await connected('./password', held.promise);
    const call = collectFrom(authority, 'ticket', {} as never, signal);
    await writeFile(at('password'), 'second');
    clock.advance(10_000);
    await authority.check(signal);
    await expect.poll(() => connections.length, soon).toBe(2);
    held.resolve();
    expect(await call).toEqual({ kind: 'rejected', reason: 'first false' });
    await expect.poll(() => connections[0]?.isClosed, soon).toBe(true);
  });
});
