import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { freePort } from '../../simulator/peers/free-port.ts';
import { type LoopbackProcess, startProcess } from '../../simulator/peers/loopback-process.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

export const howToGetCfssl = 'apt-get install golang-cfssl';

const program = '/usr/bin/cfssl';

export function findCfssl(): boolean {
  return existsSync(program);
}

export interface CfsslServer extends AsyncDisposable {
  readonly url: string;
  readonly directory: string;
  readonly authKey: string;
  readonly process: LoopbackProcess;
  /** PEM. */
  readonly root: string;
  /** The status of a certificate in cfssl's database. */
  statusOf(serial: string): string | undefined;
}

const authKey = '00112233445566778899AABBCCDDEEFF';

/** A cfssl of our own on loopback, with a fresh CA, three profiles and a certificate database. */
export async function startCfssl(): Promise<CfsslServer> {
  const temporary = await temporaryDirectory();
  const { path: directory } = temporary;
  const port = await freePort();
  const write = (name: string, content: unknown) =>
    writeFile(
      join(directory, name),
      typeof content === 'string' ? content : JSON.stringify(content),
    );
  await write('csr.json', { CN: 'Peer cfssl Root', key: { algo: 'ecdsa', size: 256 } });
  const made = execFileSync(program, ['gencert', '-initca', 'csr.json'], {
    cwd: directory,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const { cert, key } = JSON.parse(made) as { cert: string; key: string };
  await write('ca.pem', cert);
  await write('ca-key.pem', key);
  const usages = ['signing', 'client auth'];
  await write('config.json', {
    signing: {
      default: { usages: ['signing', 'server auth'], expiry: '8760h' },
      profiles: {
        open: { usages, expiry: '720h' },
        locked: { usages, expiry: '720h', auth_key: 'k1' },
        narrow: { usages, expiry: '720h', name_whitelist: '^only\\.example\\.org$' },
      },
    },
    auth_keys: { k1: { type: 'standard', key: authKey } },
  });
  await write('db.json', { driver: 'sqlite3', data_source: 'certs.db' });
  const database = new DatabaseSync(join(directory, 'certs.db'));
  database.exec(schema);
  const words = ['serve', '-address', '127.0.0.1', '-port', String(port), '-ca', 'ca.pem'];
  const more = ['-ca-key', 'ca-key.pem', '-config', 'config.json', '-db-config', 'db.json'];
  const server = await startProcess(program, [...words, ...more], { ports: [port], directory });
  return {
    url: `http://127.0.0.1:${port}`,
    directory,
    authKey,
    process: server,
    root: cert,
    statusOf(serial) {
      const row = database
        .prepare('SELECT status FROM certificates WHERE serial_number = ?')
        .get(serial);
      return row === undefined ? undefined : String(row['status']);
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      database.close();
      await temporary[Symbol.asyncDispose]();
    },
  };
}

/** The tables that cfssl expects (certdb/sqlite/migrations). */
const schema = `
  CREATE TABLE certificates (
    serial_number blob NOT NULL, authority_key_identifier blob NOT NULL, ca_label blob,
    status blob NOT NULL, reason int, expiry timestamp, revoked_at timestamp, pem blob NOT NULL,
    PRIMARY KEY (serial_number, authority_key_identifier));
  CREATE TABLE ocsp_responses (
    serial_number blob NOT NULL, authority_key_identifier blob NOT NULL, body blob NOT NULL,
    expiry timestamp, PRIMARY KEY (serial_number, authority_key_identifier));
`;
