import { once } from 'node:events';
import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  findPostgres,
  howToGetPostgres,
  type PostgresServer,
  startPostgres,
} from '../../simulator/peers/postgres-server.ts';
import { Events } from '../../src/events/events.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { watchJournal } from '../../src/journal/journal-watch.ts';
import { openPostgresJournal } from '../../src/journal/postgres-journal.ts';
import { postgresMigrations } from '../../src/journal/postgres-schema.ts';
import { type Clock, systemClock } from '../../src/time/clock.ts';
import {
  describeJournal,
  type JournalUnderTest,
  notified,
  recordWith,
  stoppedClock,
} from '../journal/contract.ts';
import { requirePeer } from '../support/peer.ts';

const there = await requirePeer(
  'PostgreSQL',
  async () => (await findPostgres()) !== undefined,
  howToGetPostgres,
);
const { signal } = new AbortController();

describe.skipIf(!there)('PostgreSQL', () => {
  let server: PostgresServer;
  let databases = 0;

  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  async function sql(text: string, database = 'postgres'): Promise<unknown[]> {
    const client = new Client({ connectionString: server.url({ database }) });
    await client.connect();
    try {
      const { rows } = await client.query(text);
      return rows;
    } finally {
      await client.end();
    }
  }

  async function newDatabase(): Promise<string> {
    databases += 1;
    await sql(`CREATE DATABASE journal${databases}`);
    return `journal${databases}`;
  }

  function openJournal(database: string, clock: Clock = systemClock): Promise<Journal> {
    return openPostgresJournal({ url: server.url({ database }), clock });
  }

  describe('with a clock that stands still', () => {
    let database: string;

    beforeAll(async () => {
      database = await newDatabase();
      const journal = await openJournal(database);
      await journal[Symbol.asyncDispose]();
      // The journal asks certprov_now() for every decision: replaced, it is the database's clock.
      await sql(
        `CREATE TABLE stopped_clock (now bigint);
        INSERT INTO stopped_clock VALUES (0);
        CREATE OR REPLACE FUNCTION certprov_now() RETURNS bigint LANGUAGE sql VOLATILE AS
          'SELECT now FROM stopped_clock'`,
        database,
      );
    });

    async function startStopped(): Promise<JournalUnderTest> {
      const client = new Client({ connectionString: server.url({ database }) });
      await client.connect();
      const { clock, advance } = stoppedClock();
      const show = () => client.query('UPDATE stopped_clock SET now = $1', [clock.now()]);
      await client.query('TRUNCATE certprov_process, certprov_standing RESTART IDENTITY');
      await show();
      const journal = await openJournal(database, clock);
      return {
        journal,
        clock,
        async advance(byMs) {
          await advance(byMs);
          await show();
        },
        async [Symbol.asyncDispose]() {
          await journal[Symbol.asyncDispose]();
          await client.end();
        },
      };
    }

    describeJournal('The PostgreSQL journal', startStopped, { propertyRuns: 50 });

    it('forgets nothing because its own clock is a year ahead or behind', async () => {
      await using test = await startStopped();
      const { journal, clock } = test;
      await journal.open(notified('a'), signal);
      const [entry] = await journal.takeDue('one', 1, 1_000, signal);
      if (entry === undefined) throw new Error('Nothing was due.');
      await journal.close(entry, { outcome: 'delivered', record: {} }, signal);
      const day = 86_400_000;
      for (const days of [365, -365]) {
        await sql(`UPDATE stopped_clock SET now = ${clock.now() + days * day}`, database);
        expect(await journal.prune(clock.now() - 90 * day, 10, signal)).toBe(0);
      }
      await test.advance(91 * day);
      expect(await journal.prune(clock.now() - 90 * day, 10, signal)).toBe(1);
    });
  });

  describe('shared by several instances', () => {
    let database: string;
    let one: Journal;
    let two: Journal;

    beforeEach(async () => {
      database = await newDatabase();
      one = await openJournal(database);
      two = await openJournal(database);
      return async () => {
        await one[Symbol.asyncDispose]();
        await two[Symbol.asyncDispose]();
      };
    });

    it('never gives one entry to both, and gives all', async () => {
      const all = Array.from({ length: 500 }, (_, index) => `p${index}`);
      await Promise.all(all.map((id) => one.open(notified(id), signal)));
      const taken: string[] = [];
      const takeAll = async (journal: Journal, instance: string) => {
        for (;;) {
          const entries = await journal.takeDue(instance, 7, 60_000, signal);
          taken.push(...entries.map(({ processId }) => processId));
          if (entries.length === 0) return;
        }
      };
      await Promise.all(
        [one, two, one, two].map((journal, index) => takeAll(journal, `instance-${index}`)),
      );
      // A taker passes over rows that another is just taking, so the last look is one alone.
      await takeAll(one, 'last');
      expect(taken.toSorted()).toEqual(all.toSorted());
    });

    it('opens each process once when both are told of it', async () => {
      const all = Array.from({ length: 300 }, (_, index) => `p${index}`);
      const answers = await Promise.all([
        ...all.map((id) => one.open(notified(id), signal)),
        ...all.toReversed().map((id) => two.open(notified(id), signal)),
      ]);
      expect(answers.filter((answer) => answer === 'opened')).toHaveLength(300);
      expect((await two.summary(signal)).open.claim).toBe(300);
    });

    it('rejects a visit that the other instance took over', async () => {
      await one.open(notified('a'), signal);
      const [zombie] = await one.takeDue('one', 1, 0, signal);
      const [present] = await two.takeDue('two', 1, 60_000, signal);
      const change = { record: recordWith('zombie'), room: 'issue' } as const;
      await expect(one.save(zombie!, change, signal)).rejects.toThrow(/taken over/);
      await two.save(present!, { record: recordWith('present'), room: 'claim' }, signal);
    });

    it('lets a value that the server cannot take fail alone', async () => {
      const ids = ['a', 'nul\u0000', 'b'];
      const results = await Promise.allSettled(ids.map((id) => one.open(notified(id), signal)));
      expect(results).toMatchObject([
        { value: 'opened' },
        { reason: { name: 'JournalError' } },
        { value: 'opened' },
      ]);
    });

    it('is not misled by an instance whose clock is a day off', async () => {
      const day = 86_400_000;
      const late: Clock = { ...systemClock, now: () => Date.now() - day };
      await using slow = await openJournal(database, late);
      await slow.open(notified('a'), signal);
      const [entry] = await one.takeDue('one', 1, 60_000, signal);
      expect(Math.abs(Date.now() - entry!.openedAt)).toBeLessThan(10_000);
      expect(await slow.takeDue('slow', 1, 60_000, signal)).toEqual([]);
      await one.save(entry!, { record: {}, room: 'claim', dueAt: Date.now() }, signal);

      const [slowly] = await slow.takeDue('slow', 1, 60_000, signal);
      const dueAt = late.now() + 3_600_000;
      await slow.save(slowly!, { record: {}, room: 'claim', dueAt }, signal);
      expect(await one.takeDue('one', 1, 60_000, signal)).toEqual([]);
      expect((await one.nextDueAt(signal))! - Date.now()).toBeGreaterThan(3_590_000);
      expect(Math.abs((await slow.nextDueAt(signal))! - dueAt)).toBeLessThan(10_000);
    });

    it('wakes an instance when the other wrote an entry that is due', async () => {
      const woken = Promise.withResolvers<void>();
      two.onWake?.(() => woken.resolve());
      // Listening begins when the connection is made; until then a call may be missed.
      await untilListening(database);
      await one.open(notified('a'), signal);
      await woken.promise;
      expect(await two.takeDue('two', 1, 60_000, signal)).toMatchObject([{ processId: 'a' }]);
    });

    it('survives a restart of the server: what was written stays, what follows works', async () => {
      const acknowledged: string[] = [];
      const problems: unknown[] = [];
      const woken: string[] = [];
      two.onWake?.(() => woken.push('woken'));
      let running = true;
      const writer = async (journal: Journal, name: string) => {
        for (let index = 0; running; index += 1) {
          const id = `${name}-${index}`;
          try {
            await journal.open(notified(id), signal);
            acknowledged.push(id);
          } catch (error) {
            problems.push(error);
            await systemClock.sleep(20);
          }
        }
      };
      const writers = [one, two, one, two].map((journal, index) => writer(journal, `w${index}`));
      const until = async (condition: () => boolean) => {
        while (!condition()) await systemClock.sleep(5);
      };
      await until(() => acknowledged.length > 200);
      await server.stop();
      await until(() => problems.length > 5);
      await server.start();
      const before = acknowledged.length;
      await until(() => acknowledged.length > before + 200);
      running = false;
      await Promise.all(writers);

      for (const problem of problems) expect(problem).toMatchObject({ name: 'JournalError' });
      for (const id of acknowledged.slice(0, before + 50)) {
        expect(await one.open(notified(id), signal)).toBe('known');
      }
      // It listens again by itself.
      await until(() => woken.length > 0);
    });
  });

  async function untilListening(database: string): Promise<void> {
    for (;;) {
      const rows = await sql(
        `SELECT 1 FROM pg_stat_activity WHERE datname = '${database}' AND query LIKE 'LISTEN%'
          AND state = 'idle'`,
      );
      if (rows.length > 0) return;
      await systemClock.sleep(10);
    }
  }

  describe('at the start', () => {
    it('makes its tables once when many instances start together', async () => {
      const database = await newDatabase();
      const journals = await Promise.all(Array.from({ length: 6 }, () => openJournal(database)));
      expect(await sql('SELECT version FROM certprov_schema', database)).toEqual([
        { version: postgresMigrations.length },
      ]);
      await Promise.all(journals.map((journal) => journal[Symbol.asyncDispose]()));
    });

    it('finds what an earlier start wrote', async () => {
      const database = await newDatabase();
      const first = await openJournal(database);
      await first.open(notified('a'), signal);
      await first[Symbol.asyncDispose]();
      await using second = await openJournal(database);
      expect(await second.open(notified('a'), signal)).toBe('known');
    });

    it('keeps who rested for long behind the others, from before there were three lines', async () => {
      const database = await newDatabase();
      const [first = '', second = ''] = postgresMigrations;
      await sql(
        `CREATE TABLE certprov_schema (version integer NOT NULL);
        ${first} ${second}
        INSERT INTO certprov_schema VALUES (2);
        INSERT INTO certprov_process
          (id, customer, room, available_at, lease_ms, fence, opened_at, record, patient)
        VALUES ('rested', 'C01', 'possession', 1, 0, 1, 1, '{}', true),
          ('new', 'C01', 'possession', 1, 0, 1, 1, '{}', false)`,
        database,
      );
      await using journal = await openJournal(database);
      const take = async () => (await journal.takeDue('one', 1, 60_000, signal))[0]?.processId;
      expect([await take(), await take()]).toEqual(['new', 'rested']);
    });

    it('refuses a journal of a newer version', async () => {
      const database = await newDatabase();
      await (await openJournal(database))[Symbol.asyncDispose]();
      await sql('UPDATE certprov_schema SET version = version + 1', database);
      await expect(openJournal(database)).rejects.toThrow(
        RegExp(`this version of the service knows ${postgresMigrations.length}`),
      );
    });

    it('works without rights to create once its tables are there', async () => {
      const database = await newDatabase();
      const password = 'another secret';
      await sql(`CREATE ROLE plain LOGIN PASSWORD '${password}'`);
      const open = () =>
        openPostgresJournal({
          url: server.url({ user: 'plain', password, database }),
          clock: systemClock,
        });
      const refused = open();
      await expect(refused).rejects.toThrow(/lacks rights.*CREATE/);
      await expect(refused).rejects.not.toThrow(password);
      await (await openJournal(database))[Symbol.asyncDispose]();
      await sql(
        `GRANT SELECT, INSERT, UPDATE, DELETE ON certprov_process TO plain;
        GRANT SELECT ON certprov_schema TO plain`,
        database,
      );
      await using journal = await open();
      expect(await journal.open(notified('a'), signal)).toBe('opened');
      expect(await journal.prune(Date.now(), 10, signal)).toBe(0);
    });

    it('logs in with the password that is in the file now', async () => {
      const database = await newDatabase();
      let password = 'first';
      await sql(`CREATE ROLE changing SUPERUSER LOGIN PASSWORD '${password}'`);
      const url = () => server.url({ user: 'changing', password, database });
      const urlNow = async () => url();
      await using journal = await openPostgresJournal({ url: url(), urlNow, clock: systemClock });
      password = 'second';
      await sql(`ALTER ROLE changing PASSWORD 'second'`);
      await sql(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'changing'`,
      );
      await expect
        .poll(() => journal.open(notified('a'), signal).catch(String), { timeout: 5_000 })
        .toMatch(/^(opened|known)$/);
    });

    it('is told within seconds to be frozen or locked, and to work again', {
      timeout: 60_000,
    }, async () => {
      const database = await newDatabase();
      await using journal = await openJournal(database);
      const events = new Events();
      const stop = new AbortController();
      const next = async () => (await once(events, 'journal'))[0];
      const watch = watchJournal({ journal, clock: systemClock, events }, stop.signal);
      const hangs = { up: false, problem: expect.stringMatching(/has not answered for 3 seconds/) };

      const startedAt = performance.now();
      server.freeze();
      expect(await next()).toEqual(hangs);
      expect(performance.now() - startedAt).toBeLessThan(9_000);
      server.thaw();
      expect(await next()).toEqual({ up: true });

      const client = new Client({ connectionString: server.url({ database }) });
      await client.connect();
      await client.query('BEGIN; LOCK TABLE certprov_process');
      expect(await next()).toEqual(hangs);
      await client.query('COMMIT');
      expect(await next()).toEqual({ up: true });
      await client.end();
      stop.abort();
      await watch;
    });

    it('says what is wrong with a connection string, and never the password', async () => {
      const cases: [string, RegExp][] = [
        ['not a url secret-word', /not a PostgreSQL connection string/],
        ['mysql://u:secret-word@127.0.0.1/db', /not a PostgreSQL connection string/],
        ['postgres://u:secret-word@127.0.0.1:1/db', /127\.0\.0\.1:1\/db.*nothing listens there/],
        ['postgres://u:secret-word@nowhere.invalid/db', /nowhere\.invalid.*(unknown|looked up)/],
        [server.url({ password: 'secret-word' }), /refuses the user name or password/],
        [server.url({ database: 'missing' }), /database does not exist/],
      ];
      for (const [url, expected] of cases) {
        const failure: unknown = await openPostgresJournal({ url, clock: systemClock }).then(
          () => 'opened',
          (error: unknown) => error,
        );
        expect(failure, url).toMatchObject({ name: 'JournalError' });
        expect(String(failure)).toMatch(expected);
        for (const secret of [
          'secret-word',
          server.password,
          encodeURIComponent(server.password),
        ]) {
          expect(JSON.stringify(failure, Object.getOwnPropertyNames(failure))).not.toContain(
            secret,
          );
        }
      }
    });
  });
});
