import { execFile, spawnSync } from 'node:child_process';
import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  authorityExtensions,
  keyIdentifier,
  signCertificate,
} from '../../adapters/local-ca/certificate.ts';
import { freePort } from '../../simulator/peers/free-port.ts';
import { type LoopbackProcess, startProcess } from '../../simulator/peers/loopback-process.ts';
import { encodeName } from '../../src/x509/distinguished-name.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

/*
 * smallstep's step-ca, built from the Go sources that Debian packages, with a SCEP provisioner. SCEP needs an
 * RSA key at the CA that issues; the root's may be any.
 */

export const howToGetStepCa =
  'apt-get install golang-go golang-github-smallstep-certificates-dev golang-github-smallstep-cli-dev';
/** Building takes about a minute, the first time on a machine. */
export const buildTimeoutMs = 10 * 60_000;
const sources = '/usr/share/gocode/src/github.com/smallstep/certificates';
const main = join(import.meta.dirname, 'go/step-ca/main.go');
const dayMs = 86_400_000;

export function stepCaCanBeBuilt(): boolean {
  return existsSync(sources) && spawnSync('go', ['version']).status === 0;
}

export interface StepCaServer extends LoopbackProcess {
  /** Of its SCEP provisioner, without TLS. */
  readonly url: string;
  readonly challenge: string;
  /** DER. */
  readonly root: Uint8Array;
  /** DER; the one that issues, and that GetCACert gives. */
  readonly ca: Uint8Array;
}

export async function startStepCa(): Promise<StepCaServer> {
  const program = await builtStepCa();
  const directory = await temporaryDirectory();
  const challenge = 'a challenge, for step-ca';
  const root = authority('Step root', 1);
  const intermediate = authority('Step intermediate', 0, root);
  const [port, plainPort] = [await freePort(), await freePort()];
  const pkcs8 = { type: 'pkcs8', format: 'pem' } as const;
  const files = {
    'root.pem': encodePem('CERTIFICATE', root.certificate),
    'intermediate.pem': encodePem('CERTIFICATE', intermediate.certificate),
    'intermediate.key': intermediate.key.export(pkcs8).toString(),
    'ca.json': JSON.stringify(settings(port, plainPort, challenge)),
  };
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(directory.path, name), content, { mode: 0o600 });
  }
  try {
    const running = await startProcess(program, ['ca.json'], {
      ports: [plainPort],
      directory: directory.path,
    });
    return {
      url: `http://127.0.0.1:${plainPort}/scep/scep`,
      challenge,
      root: root.certificate,
      ca: intermediate.certificate,
      output: () => running.output(),
      freeze: () => running.freeze(),
      async [Symbol.asyncDispose]() {
        await running[Symbol.asyncDispose]();
        await directory[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await directory[Symbol.asyncDispose]();
    throw error;
  }
}

/** Its default of 24 hours is less than a device wants. */
function settings(port: number, plainPort: number, challenge: string) {
  return {
    root: 'root.pem',
    crt: 'intermediate.pem',
    key: 'intermediate.key',
    address: `127.0.0.1:${port}`,
    insecureAddress: `127.0.0.1:${plainPort}`,
    dnsNames: ['localhost', '127.0.0.1'],
    logger: { format: 'text' },
    db: { type: 'badgerv2', dataSource: 'db' },
    authority: {
      claims: { defaultTLSCertDuration: '2160h', maxTLSCertDuration: '2160h' },
      provisioners: [
        { type: 'SCEP', name: 'scep', challenge, forceCN: false, minimumPublicKeyLength: 2048 },
        // Its numbers are those of mozilla's pkcs7; without one it answers in single DES.
        ...[1, 2, 3, 4].map((encryptionAlgorithmIdentifier) => ({
          type: 'SCEP',
          name: `scep${encryptionAlgorithmIdentifier}`,
          challenge,
          forceCN: false,
          minimumPublicKeyLength: 2048,
          encryptionAlgorithmIdentifier,
        })),
      ],
    },
  };
}

/** Kept beside other temporary files under a name that changes with our source. */
export async function builtStepCa(): Promise<string> {
  const digest = createHash('sha256')
    .update(await readFile(main))
    .digest('hex')
    .slice(0, 16);
  const directory = join(tmpdir(), 'certprov-peers');
  const program = join(directory, `step-ca-${digest}`);
  if (existsSync(program)) return program;
  await mkdir(join(directory, 'go'), { recursive: true });
  const unfinished = `${program}.${process.pid}`;
  const env = {
    ...process.env,
    GO111MODULE: 'off',
    GOPATH: `${join(directory, 'go')}:/usr/share/gocode`,
  };
  await promisify(execFile)('go', ['build', '-o', unfinished, main], {
    env,
    timeout: buildTimeoutMs,
  });
  await rename(unfinished, program);
  return program;
}

interface CaOfStep {
  readonly name: Uint8Array;
  readonly key: KeyObject;
  readonly certificate: Uint8Array;
}

function authority(commonName: string, pathLength: number, issuer?: CaOfStep): CaOfStep {
  const { privateKey: key } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const name = encodeName([[{ type: '2.5.4.3', value: commonName }]]);
  const signer = issuer ?? { name, key };
  const serialNumber = randomBytes(16);
  serialNumber[0] = ((serialNumber[0] ?? 0) & 0x3f) | 0x40;
  const certificate = signCertificate(
    {
      serialNumber,
      subject: name,
      subjectPublicKeyInfo: spki(key),
      notBefore: Date.now() - 60_000,
      notAfter: Date.now() + 1_000 * dayMs,
      extensions: authorityExtensions(pathLength),
    },
    { name: signer.name, keyIdentifier: keyIdentifier(spki(signer.key)), key: signer.key },
  );
  return { name, key, certificate };
}

function spki(key: KeyObject): Uint8Array {
  return new Uint8Array(createPublicKey(key).export({ type: 'spki', format: 'der' }));
}
