import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import localCa from '../../adapters/local-ca/local-ca.ts';
import {
  certificationRequest,
  certificationRequestInfo,
} from '../../src/possession/certification-request.ts';
import type { KeyType } from '../../src/request/requested-certificate.ts';
import { systemClock } from '../../src/time/clock.ts';
import { readCertificates } from '../../src/x509/pem.ts';
import { wanted } from './wanted.ts';

/*
 * Makes seeds.json: keys, requests and certificates that fit together, and the moment at which they are
 * valid. They are kept, and not made anew for each run, so that a finding can be tried again.
 */

const directory = await mkdtemp(join(tmpdir(), 'certprov-seeds-'));
const signal = new AbortController().signal;
const ca = await localCa.connect(
  localCa.options.parse({ directory }),
  { clock: systemClock, resolvePath: (path) => path, readSecret: async () => '' },
  signal,
);

async function seedOf(keyType: KeyType) {
  const { publicKey, privateKey } =
    keyType === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
  const info = certificationRequestInfo({ subjectPublicKeyInfo: spki, wanted, additions: {} });
  const signature = sign('sha256', info, privateKey);
  const csr = certificationRequest(info, keyType, signature);
  const issued = await ca.issue(
    {
      csr,
      wanted,
      keyType,
      subjectPublicKeyInfo: spki,
      requestId: (keyType === 'rsa' ? '1' : '2').repeat(32),
      processId: `seed-${keyType}`,
      subject: { kind: 'device', serialNumber: 'SIM0000001' },
    },
    signal,
  );
  if (issued.kind !== 'issued') throw new Error(`The local CA answered ${issued.kind}.`);
  return {
    spki: base64(spki),
    info: base64(info),
    signature: base64(signature),
    csr: base64(csr),
    certificate: base64(issued.certificate),
  };
}

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');

const [issuing] = readCertificates(await readFile(join(directory, 'issuing.pem')));
const [root] = readCertificates(await readFile(join(directory, 'root.pem')));
if (issuing === undefined || root === undefined) throw new Error('The local CA left no files.');
const seeds = {
  now: Date.now() + 3_600_000,
  root: base64(root),
  issuing: base64(issuing),
  rsa: await seedOf('rsa'),
  ec: await seedOf('ec'),
};
await ca[Symbol.asyncDispose]();
await rm(directory, { recursive: true });
await writeFile(new URL('seeds.json', import.meta.url), `${JSON.stringify(seeds, null, 2)}\n`);
