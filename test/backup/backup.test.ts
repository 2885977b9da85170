import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { adapters } from '../../adapters/index.ts';
import localCa from '../../adapters/local-ca/local-ca.ts';
import { DeviceKey } from '../../conformance/device-key.ts';
import { backup } from '../../src/backup/backup.ts';
import { backupCommand } from '../../src/backup/command.ts';
import { serveBackups, socketPath } from '../../src/backup/socket.ts';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { Events } from '../../src/events/events.ts';
import { openSqliteJournal } from '../../src/journal/sqlite-journal.ts';
import { adapterLoader } from '../../src/plug-in/adapter-loader.ts';
import { systemClock } from '../../src/time/clock.ts';
import { notified, recordWith } from '../journal/contract.ts';
import { connectContext } from '../support/connect-context.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const run = promisify(execFile);
const { signal } = new AbortController();

const text = `
pubsub: { project: project-1, subscription: subscription-1 }
journal: { path: ./data/journal.db }
authorities: { wifi: { kind: local-ca, options: { directory: ./data/ca } } }
profiles: { device: { subject: CN=x } }
`;

describe('backup', () => {
  let home: Awaited<ReturnType<typeof temporaryDirectory>>;
  let config: Config;
  let printed: string;
  const print = (line: string) => {
    printed += line;
  };
  const at = (name: string) => join(home.path, name);

  beforeEach(async () => {
    home = await temporaryDirectory();
    printed = '';
    await writeFile(at('config.yaml'), text);
    config = await loadConfig(at('config.yaml'), { loadAdapter: adapterLoader(adapters), env: {} });
  });
  afterEach(() => home[Symbol.asyncDispose]());

  const openJournal = () => openSqliteJournal({ path: at('data/journal.db'), clock: systemClock });
  const connect = (directory: string) =>
    localCa.connect(localCa.options.parse({ directory }), connectContext(home.path), signal);

  const key = new DeviceKey('ec');
  const wanted = {
    subject: [[{ type: '2.5.4.3', value: 'device' }]],
    subjectAltNames: [],
    keyUsages: ['digitalSignature'],
    extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'],
    validityDays: 30,
  } as const;
  const order = {
    requestId: randomBytes(16).toString('hex'),
    processId: 'process',
    keyType: key.keyType,
    subjectPublicKeyInfo: key.subjectPublicKeyInfo,
    subject: { kind: 'device' },
    wanted,
    csr: key.request(wanted),
  } as const;

  it('copies journal and local CA while both are at work, and what is restored knows all that they knew', async () => {
    const journal = await openJournal();
    const ca = await connect('./data/ca');
    const issued = await ca.issue(order, signal);
    const many = Array.from({ length: 300 }, (_, index) =>
      journal.open(notified(`p${index}`), signal),
    );
    await Promise.all(many);
    const [leased] = await journal.takeDue('one', 1, 60_000, signal);
    await journal.save(leased!, { record: recordWith('kept'), room: 'issue', dueAt: 5 }, signal);
    const events = new Events();
    const make = (inner: AbortSignal) => backup(config, journal, at('data'), inner);
    const socket = await serveBackups({ journalPath: at('data/journal.db'), events, backup: make });
    const mode = async (name: string) => ((await stat(name)).mode & 0o777).toString(8);
    expect(await mode(socketPath(at('data/journal.db')))).toBe('600');

    const meanwhile = Array.from({ length: 50 }, (_, index) =>
      journal.open(notified(`m${index}`), signal),
    );
    expect(await backupCommand(config, at('kept.tar'), print, signal), printed).toBe(0);
    await Promise.all(meanwhile);
    expect(printed).toMatch(/made by the running service/);
    expect(await mode(at('kept.tar'))).toBe('600');
    expect((await readdir(at('data'))).toSorted()).toEqual(
      ['ca', 'certprov.sock', 'journal.db', 'journal.db-wal'].toSorted(),
    );
    await socket[Symbol.asyncDispose]();
    await ca[Symbol.asyncDispose]();
    await journal[Symbol.asyncDispose]();

    // As the page of operations says: stop, move aside, unpack, put back, start.
    await rename(at('data'), at('lost'));
    await run('tar', ['-xf', at('kept.tar'), '--one-top-level=restored'], { cwd: home.path });
    expect(await readFile(at('restored/RESTORE.txt'), 'utf8')).toContain(at('data/journal.db'));
    await rename(at('restored'), at('data'));
    await rename(at('data/authorities/wifi'), at('data/ca'));
    await using restored = await openJournal();
    const { open } = await restored.summary(signal);
    expect(open.issue).toBe(1);
    expect(open.claim).toBeGreaterThanOrEqual(299);
    await using again = await connect('./data/ca');
    expect(await again.issue(order, signal)).toEqual(issued);
    expect(await mode(at('data/ca/issuing-key.pem'))).toBe('600');
  });

  it('copies what no service has open', async () => {
    await (await openJournal())[Symbol.asyncDispose]();
    await (await connect('./data/ca'))[Symbol.asyncDispose]();
    expect(await backupCommand(config, at('kept.tar'), print, signal), printed).toBe(0);
    expect(printed).toMatch(/no service runs here/);
    const { stdout } = await run('tar', ['-tf', at('kept.tar')]);
    expect(stdout.split('\n')).toContain('authorities/wifi/ledger.db');
  });

  it('leaves no half archive and says why there is none', async () => {
    await using journal = await openJournal();
    expect(await backupCommand(config, at('kept.tar'), print, signal)).toBe(1);
    expect(printed).toMatch(/no backup: The journal .* another process has it open/);
    printed = '';
    const make = (inner: AbortSignal) => backup(config, journal, at('data'), inner);
    const journalPath = at('data/journal.db');
    await using _socket = await serveBackups({ journalPath, events: new Events(), backup: make });
    expect(await backupCommand(config, at('kept.tar'), print, signal)).toBe(1);
    expect(printed).toMatch(/made no backup: The local CA in .*data\/ca cannot be copied/);
    expect((await readdir(home.path)).toSorted()).toEqual(['config.yaml', 'data']);
  });

  it.each([
    ['the configuration', 'config.yaml'],
    ['the journal', 'data/journal.db'],
    ['a key', 'data/ca/issuing-key.pem'],
    ['a directory', 'data'],
  ])('replaces %s by no archive', async (_what, name) => {
    await (await openJournal())[Symbol.asyncDispose]();
    await (await connect('./data/ca'))[Symbol.asyncDispose]();
    const before = await stat(at(name));
    expect(await backupCommand(config, at(name), print, signal)).toBe(1);
    expect(printed).toMatch(/is there already and is no (backup of this program|ordinary file)/);
    expect(await stat(at(name))).toMatchObject({ ino: before.ino, size: before.size });
  });

  it('makes two at once, and sweeps nothing but what a backup that died left behind', async () => {
    await (await openJournal())[Symbol.asyncDispose]();
    await (await connect('./data/ca'))[Symbol.asyncDispose]();
    // Process 1 is at work, and no process has the other number.
    const others = [
      '.backup-2026',
      '.certprov-backup-1-abcdef',
      '.certprov-backup-999999999-abcdef',
    ];
    for (const name of others) await mkdir(at(`data/${name}`));
    const both = [1, 2].map(() => backupCommand(config, at('kept.tar'), print, signal));
    expect(await Promise.all(both), printed).toEqual([0, 0]);
    expect(await backupCommand(config, at('kept.tar'), print, signal), printed).toBe(0);
    const { stdout } = await run('tar', ['-tf', at('kept.tar')]);
    expect(stdout.split('\n')).toContain('authorities/wifi/ledger.db');
    const left = await readdir(at('data'));
    expect(left.filter((name) => name.startsWith('.'))).toEqual(others.slice(0, 2));
    expect((await readdir(home.path)).toSorted()).toEqual(['config.yaml', 'data', 'kept.tar']);
  });

  it('needs no directory but the archive’s where the journal is elsewhere, and names a journal that is not there', async () => {
    await (await connect('./data/ca'))[Symbol.asyncDispose]();
    expect(await backupCommand(config, at('kept.tar'), print, signal)).toBe(1);
    expect(printed).toMatch(/there is no journal .*data\/journal\.db/);
    const journal = { ...config.journal, kind: 'postgres', url: 'postgres://x/y' };
    const elsewhere = { ...config, journal, directory: '/proc' } as Config;
    const resolved = { ...elsewhere, authorities: new Map(config.authorities) };
    for (const [name, authority] of resolved.authorities) {
      const options = { ...(authority.options as object), directory: at('data/ca') };
      resolved.authorities.set(name, { ...authority, options });
    }
    expect(await backupCommand(resolved, at('kept.tar'), print, signal), printed).toBe(0);
    expect(printed).toMatch(/the local CAs alone/);
  });

  it('does without a socket where its path is too long, and copies the files when no service runs', async () => {
    const long = at(`${'d'.repeat(60)}/${'e'.repeat(60)}`);
    const told: string[] = [];
    const events = new Events();
    events.on('service', ({ detail = '' }) => told.push(detail));
    const journalPath = join(long, 'journal.db');
    const make = (inner: AbortSignal) => backup(config, undefined, long, inner);
    await (await serveBackups({ journalPath, events, backup: make }))[Symbol.asyncDispose]();
    expect(told.join()).toMatch(/longer than the 107 bytes that a socket's may have/);
    await (await openSqliteJournal({ path: journalPath, clock: systemClock }))[
      Symbol.asyncDispose
    ]();
    const journal = { ...config.journal, kind: 'sqlite', path: journalPath } as const;
    const there = { ...config, journal, authorities: new Map() };
    expect(await backupCommand(there, at('kept.tar'), print, signal), printed).toBe(0);
  });

  it('ends with the service, takes its copies away and says so', async () => {
    await using journal = await openJournal();
    const journalPath = at('data/journal.db');
    const begun = Promise.withResolvers<void>();
    const make = (inner: AbortSignal) => {
      begun.resolve();
      return backup(config, journal, at('data'), inner);
    };
    const socket = await serveBackups({ journalPath, events: new Events(), backup: make });
    const asked = backupCommand(config, at('kept.tar'), print, signal);
    await begun.promise;
    await socket[Symbol.asyncDispose]();
    expect(await asked).toBe(1);
    expect(printed).toMatch(/The service stops|ended before the backup was whole/);
    expect((await readdir(at('data'))).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('does not wait for ever for whoever asked and reads nothing', async () => {
    const journalPath = at('journal.db');
    let rounds = 0;
    async function* endless() {
      for (; rounds < 1_000; rounds += 1) yield Buffer.alloc(1024 * 1024);
    }
    await using _socket = await serveBackups({
      journalPath,
      events: new Events(),
      backup: endless,
      stallMs: 50,
    });
    const path = `/v1/backup?journal=${encodeURIComponent(journalPath)}`;
    const asked = request({ socketPath: socketPath(journalPath), path }).end();
    const { promise, resolve } = Promise.withResolvers<void>();
    asked.on('response', (answer) => {
      answer.on('error', () => resolve());
      answer.pause();
      setTimeout(() => answer.resume(), 150);
    });
    await promise;
    expect(rounds).toBeLessThan(100);
  });

  it('points at pg_dump for a journal in PostgreSQL', async () => {
    const other = {
      ...config,
      journal: { ...config.journal, kind: 'postgres', url: 'postgres://x/y' },
      authorities: new Map(),
    };
    expect(await backupCommand(other as Config, at('kept.tar'), print, signal)).toBe(1);
    expect(printed).toMatch(/pg_dump -Fc/);
  });
});
