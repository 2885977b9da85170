import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { freePort } from './free-port.ts';
import { type LoopbackProcess, startProcess } from './loopback-process.ts';

export const howToGetPebble = 'apt-get install pebble';

const program = '/usr/bin/pebble';
const dnsProgram = '/usr/bin/pebble-challtestsrv';

export function findPebble(): boolean {
  return existsSync(program) && existsSync(dnsProgram);
}

export const externalAccount = {
  keyId: 'kid-1',
  hmacKey: 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W',
};

export interface PebbleServer extends AsyncDisposable {
  readonly directoryUrl: string;
  readonly directory: string;
  readonly tlsFile: string;
  /** Where pebble asks for http-01 answers, on 127.0.0.1 for every name. */
  readonly httpPort: number;
  /** URL of challtestsrv's management, where TXT records are set. */
  readonly dnsManagement: string;
  readonly process: LoopbackProcess;
  /** It keeps everything in memory: a new one at the same place knows no account and no order. */
  restart(): Promise<void>;
  /** The root that it made for itself: PEM. */
  root(): Promise<string>;
}

/** A pebble of our own on loopback, strict, which refuses one good nonce in five, with a DNS of its own. */
export async function startPebble({ bound = false } = {}): Promise<PebbleServer> {
  const temporary = await mkdtempDisposable(join(tmpdir(), 'certprov-pebble-'));
  const { path: directory } = temporary;
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30'];
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  const out = ['-keyout', 'tls.key', '-out', 'tls.pem'];
  execFileSync('openssl', ['req', '-x509', ...key, ...names, ...out], {
    cwd: directory,
    stdio: 'pipe',
  });
  const ports = await Promise.all(Array.from({ length: 6 }, freePort));
  const [port = 0, managementPort = 0, httpPort = 0, tlsPort = 0, dnsPort = 0, dnsManagement = 0] =
    ports;
  const binding = {
    externalAccountBindingRequired: bound,
    ...(bound
      ? { externalAccountMACKeys: { [externalAccount.keyId]: externalAccount.hmacKey } }
      : {}),
  };
  const pebble = {
    listenAddress: `127.0.0.1:${port}`,
    managementListenAddress: `127.0.0.1:${managementPort}`,
    certificate: 'tls.pem',
    privateKey: 'tls.key',
    httpPort,
    tlsPort,
    ocspResponderURL: '',
    ...binding,
  };
  await writeFile(join(directory, 'pebble.json'), JSON.stringify({ pebble }));
  const off = ['-http01', '', '-https01', '', '-tlsalpn01', ''];
  const addresses = ['-defaultIPv4', '127.0.0.1', '-defaultIPv6', ''];
  const listen = ['-dns01', `127.0.0.1:${dnsPort}`, '-management', `127.0.0.1:${dnsManagement}`];
  const dns = await startProcess(dnsProgram, [...off, ...addresses, ...listen], {
    ports: [dnsPort, dnsManagement],
    directory,
  });
  const words = ['-strict', '-config', 'pebble.json', '-dnsserver', `127.0.0.1:${dnsPort}`];
  const start = () =>
    startProcess(program, words, {
      ports: [port, managementPort],
      directory,
      env: { PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: '20' },
    });
  let server = await start();
  const tlsFile = join(directory, 'tls.pem');
  return {
    directoryUrl: `https://localhost:${port}/dir`,
    directory,
    tlsFile,
    httpPort,
    dnsManagement: `http://127.0.0.1:${dnsManagement}`,
    get process() {
      return server;
    },
    async restart() {
      await server[Symbol.asyncDispose]();
      server = await start();
    },
    root: () => download(`https://localhost:${managementPort}/roots/0`, tlsFile),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await dns[Symbol.asyncDispose]();
      await temporary[Symbol.asyncDispose]();
    },
  };
}

async function download(url: string, caFile: string): Promise<string> {
  const signal = AbortSignal.timeout(5_000);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  get(url, { ca: await readFile(caFile), signal }, (answer) => {
    if (answer.statusCode === 200) resolve(text(answer));
    else reject(new Error(`${url} answers ${answer.statusCode}`));
  }).on('error', reject);
  return promise;
}
