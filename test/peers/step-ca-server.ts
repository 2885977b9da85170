import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CompactEncrypt, calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import { freePort } from '../../simulator/peers/free-port.ts';
import { type LoopbackProcess, startProcess } from '../../simulator/peers/loopback-process.ts';
import { readCertificates } from '../../src/x509/pem.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

export const howToGetStepCa =
  'apt-get install golang-go golang-github-smallstep-certificates-dev golang-github-smallstep-cli-dev';

const debianSources = '/usr/share/gocode';
const source = join(import.meta.dirname, 'go/step-ca');

export function findStepCa(): boolean {
  return (
    existsSync('/usr/bin/go') &&
    existsSync(join(debianSources, 'src/github.com/smallstep/certificates/ca'))
  );
}

/** The program, built once from Debian's Go sources (about half a minute) and kept under the system's tmpdir. */
async function builtProgram(): Promise<string> {
  const text = await readFile(join(source, 'main.go'));
  const version = createHash('sha256').update(text).digest('hex').slice(0, 12);
  const cache = join(tmpdir(), 'certprov-peers-go');
  const program = join(cache, `step-ca-${version}`);
  if (existsSync(program)) return program;
  await mkdir(cache, { recursive: true, mode: 0o700 });
  const building = `${program}.${process.pid}`;
  execFileSync('/usr/bin/go', ['build', '-o', building, '.'], {
    cwd: source,
    stdio: 'pipe',
    env: {
      PATH: process.env['PATH'],
      HOME: cache,
      GO111MODULE: 'off',
      GOPATH: debianSources,
      GOCACHE: join(cache, 'cache'),
    },
  });
  await rename(building, program);
  return program;
}

export interface StepCaServer extends AsyncDisposable {
  readonly url: string;
  /** For ACME clients. */
  readonly acmeDirectory: string;
  readonly directory: string;
  readonly rootFile: string;
  /** DER. */
  readonly root: Uint8Array;
  readonly fingerprint: string;
  readonly key: string;
  readonly encryptedKey: string;
  readonly process: LoopbackProcess;
}

export const stepProvisioner = 'chromebooks';
export const stepPassword = 'open sesame, provisioner';

/** A step-ca of our own on loopback: root, intermediate, a JWK provisioner of a year, an ACME provisioner. */
export async function startStepCa(): Promise<StepCaServer> {
  const program = await builtProgram();
  const temporary = await temporaryDirectory();
  const { path: directory } = temporary;
  makeHierarchy(directory);
  const port = await freePort();
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const publicJwk = await exportJWK(publicKey);
  const kid = await calculateJwkThumbprint(publicJwk, 'sha256');
  const named = { use: 'sig', kid, alg: 'ES256' };
  const key = JSON.stringify({ ...(await exportJWK(privateKey)), ...named });
  const encryptedKey = await new CompactEncrypt(new TextEncoder().encode(key))
    .setProtectedHeader({ alg: 'PBES2-HS256+A128KW', enc: 'A128GCM', cty: 'jwk+json' })
    .encrypt(new TextEncoder().encode(stepPassword));
  const settings = {
    root: 'root.pem',
    crt: 'issuing.pem',
    key: 'issuing-key.pem',
    address: `127.0.0.1:${port}`,
    dnsNames: ['localhost', '127.0.0.1'],
    logger: { format: 'text' },
    db: { type: 'badgerv2', dataSource: 'db' },
    authority: {
      claims: { maxTLSCertDuration: '8760h' },
      provisioners: [
        { type: 'JWK', name: stepProvisioner, key: { ...publicJwk, ...named }, encryptedKey },
        { type: 'ACME', name: 'acme' },
      ],
    },
  };
  await writeFile(join(directory, 'ca.json'), JSON.stringify(settings), { mode: 0o600 });
  const server = await startProcess(program, ['ca.json'], { ports: [port], directory });
  const rootFile = join(directory, 'root.pem');
  const [root = new Uint8Array()] = readCertificates(await readFile(rootFile));
  return {
    url: `https://localhost:${port}`,
    acmeDirectory: `https://localhost:${port}/acme/acme/directory`,
    directory,
    rootFile,
    root,
    fingerprint: createHash('sha256').update(root).digest('hex'),
    key,
    encryptedKey,
    process: server,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await temporary[Symbol.asyncDispose]();
    },
  };
}

/** root.pem, issuing.pem and their keys, by the openssl command. */
function makeHierarchy(directory: string): void {
  const openssl = (...words: string[]) =>
    execFileSync('openssl', words, { cwd: directory, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const ca = ['-addext', 'keyUsage=critical,keyCertSign,cRLSign'];
  const root = ['-subj', '/CN=Peer step Root', '-keyout', 'root-key.pem', '-out', 'root.pem'];
  openssl('req', '-x509', ...key, '-days', '3650', ...ca, ...root);
  const issuing = ['-subj', '/CN=Peer step Issuing', '-keyout', 'issuing-key.pem'];
  openssl(
    'req',
    '-x509',
    ...key,
    '-days',
    '3000',
    ...ca,
    ...issuing,
    '-out',
    'issuing.pem',
    ...[
      '-CA',
      'root.pem',
      '-CAkey',
      'root-key.pem',
      '-addext',
      'basicConstraints=critical,CA:TRUE,pathlen:0',
    ],
  );
}
