import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { adapters } from '../../adapters/index.ts';
import localCa from '../../adapters/local-ca.ts';
import { backup } from '../../src/backup/backup.ts';
import { backupCommand } from '../../src/backup/command.ts';
import { serveBackups, socketPath } from '../../src/backup/socket.ts';
import { systemClock } from '../../src/clock.ts';
import { type Config, loadConfig } from '../../src/config.ts';
import { DeviceKey } from '../../src/conformance/device-key.ts';
import { adapterLoader } from '../../src/issue/adapter-loader.ts';
import { openSqliteJournal } from '../../src/journal/sqlite-journal.ts';
import { Events } from '../../src/telemetry/events.ts';
import { connectContext } from '../adapters/connect-context.ts';
import { temporaryDirectory } from '../adapters/temporary-directory.ts';
import { notified, recordWith } from '../journal/contract.ts';

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
    const make = (inner: AbortSignal) => backup(config, journal, inner);
    const socket = await serveBackups({ journalPath: at('data/journal.db'), events, backup: make });
    const mode = async (name: string) => ((await stat(name)).mode & 0o777).toString(8);
    expect(await mode(socketPath(at('data/journal.db')))).toBe('600');

    const meanwhile = Array.from({ length: 50 }, (_, index) =>
      journal.open(notified(`m${index}`), signal),
    );
    expect(await backupCommand(config, at('kept.tar'), print), printed).toBe(0);
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
    expect(await backupCommand(config, at('kept.tar'), print), printed).toBe(0);
    expect(printed).toMatch(/no service runs here/);
    const { stdout } = await run('tar', ['-tf', at('kept.tar')]);
    expect(stdout.split('\n')).toContain('authorities/wifi/ledger.db');
  });

  it('leaves no half archive and says why there is none', async () => {
    await using journal = await openJournal();
    expect(await backupCommand(config, at('kept.tar'), print)).toBe(1);
    expect(printed).toMatch(/no backup: The journal .* another process has it open/);
    printed = '';
    const make = (inner: AbortSignal) => backup(config, journal, inner);
    const journalPath = at('data/journal.db');
    await using _socket = await serveBackups({ journalPath, events: new Events(), backup: make });
    expect(await backupCommand(config, at('kept.tar'), print)).toBe(1);
    expect(printed).toMatch(/made no backup: The local CA in .*data\/ca cannot be copied/);
    expect((await readdir(home.path)).toSorted()).toEqual(['config.yaml', 'data']);
  });

  it('points at pg_dump for a journal in PostgreSQL', async () => {
    const other = {
      ...config,
      journal: { ...config.journal, kind: 'postgres', url: 'postgres://x/y' },
      authorities: new Map(),
    };
    expect(await backupCommand(other as Config, at('kept.tar'), print)).toBe(1);
    expect(printed).toMatch(/pg_dump -Fc/);
  });
});
