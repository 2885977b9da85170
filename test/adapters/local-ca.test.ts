import { execFile, spawn } from 'node:child_process';
import { randomBytes, X509Certificate } from 'node:crypto';
import {
  chmod,
  copyFile,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import localCa from '../../adapters/local-ca/local-ca.ts';
import { DeviceKey } from '../../conformance/device-key.ts';
import { memoryIn } from '../../src/journal/memory.ts';
import { MemoryJournal } from '../../src/journal/memory-journal.ts';
import type {
  CertificateAuthority,
  IssueRequest,
} from '../../src/plug-in/certificate-authority.ts';
import type { RequestedCertificate } from '../../src/request/requested-certificate.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { decodeSid, microsoftOid } from '../../src/x509/microsoft-extensions.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { connectContext } from '../support/connect-context.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { describeAdapter } from './contract.ts';
import { localCaHarness } from './local-ca-harness.ts';

const run = promisify(execFile);
const never = new AbortController().signal;
const dayMs = 24 * 3_600_000;

describeAdapter('local-ca', () => localCaHarness());

const wanted: RequestedCertificate = {
  subject: [[{ type: '2.5.4.3', value: 'device' }]],
  subjectAltNames: [{ type: 'upn', value: 'a@example.org' }],
  keyUsages: ['digitalSignature', 'keyEncipherment'],
  extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'],
  validityDays: 365,
};

function orderFor(key: DeviceKey, asked: Partial<RequestedCertificate> = {}): IssueRequest {
  const all = { ...wanted, ...asked };
  return {
    requestId: randomBytes(16).toString('hex'),
    processId: 'process',
    keyType: key.keyType,
    subjectPublicKeyInfo: key.subjectPublicKeyInfo,
    subject: { kind: 'device' },
    wanted: all,
    csr: key.request(all),
  };
}

async function issued(ca: CertificateAuthority, order: IssueRequest): Promise<Uint8Array> {
  const answer = await ca.issue(order, never);
  if (answer.kind !== 'issued') throw new Error(`The order is ${answer.kind}.`);
  return answer.certificate;
}

describe('a local CA', () => {
  let home: Awaited<ReturnType<typeof temporaryDirectory>>;
  let directory: string;
  let opened: CertificateAuthority[];

  beforeEach(async () => {
    home = await temporaryDirectory();
    directory = join(home.path, 'ca');
    opened = [];
  });
  afterEach(async () => {
    for (const ca of opened) await ca[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });

  async function open(given: object = {}, clock = new ManualClock()) {
    const options = localCa.options.parse({ directory: './ca', ...given });
    const ca = await localCa.connect(options, connectContext(home.path, { clock }), never);
    opened.push(ca);
    return ca;
  }

  /** What openssl says about a leaf with the CA's own files. */
  async function opensslVerify(certificate: Uint8Array): Promise<string> {
    const leaf = join(home.path, 'leaf.pem');
    await writeFile(leaf, encodePem('CERTIFICATE', certificate));
    const file = (name: string) => join(directory, name);
    const trust = ['-CAfile', file('root.pem'), '-untrusted', file('issuing.pem')];
    const crl = ['-CRLfile', file('crl.pem'), '-crl_check'];
    const { stdout, stderr } = await run('openssl', [
      'verify',
      '-x509_strict',
      ...trust,
      ...crl,
      leaf,
    ]).catch((error: { stdout: string; stderr: string }) => error);
    return stdout + stderr;
  }

  it.each([
    ['ledger.db', /ledger.db has vanished/],
    ['ledger.db-wal', /ledger.db-wal has vanished/],
    ['issuing.pem', /issuing.pem has vanished/],
    ['issuing-key.pem', /issuing-key.pem has vanished/],
    ['root.pem', /root.pem has vanished/],
  ])('issues nothing without %s, and goes on when it is back', async (name, problem) => {
    const ca = await open();
    const key = new DeviceKey('ec');
    const file = join(directory, name);
    await rename(file, `${file}.away`);
    await expect(ca.issue(orderFor(key), never)).rejects.toThrow(problem);
    await expect(ca.check(never)).rejects.toThrow(problem);
    await rename(`${file}.away`, file);
    await ca.check(never);
    await issued(ca, orderFor(key));
  });

  describe('whose root the journal remembers', () => {
    const remembering = async (directoryName = './ca') => {
      const options = localCa.options.parse({ directory: directoryName });
      const context = { ...connectContext(home.path), memory: memoryIn(journal, never) };
      const ca = await localCa.connect(options, context, never);
      opened.push(ca);
      return ca;
    };
    let journal: MemoryJournal;
    beforeEach(() => {
      journal = new MemoryJournal(new ManualClock());
    });

    it.each([
      ['is missing', () => rm(directory, { recursive: true }), /is not there any more.*mounted/],
      [
        'is empty',
        () => rm(directory, { recursive: true }).then(() => mkdir(directory)),
        /is not there any more.*backup/,
      ],
      [
        'holds another CA',
        async () => {
          await rm(directory, { recursive: true });
          await rename(join(home.path, 'other'), directory);
        },
        /was replaced by another one.*another directory/,
      ],
    ])('makes and takes no other root when its directory %s', async (_what, lose, problem) => {
      await (await remembering())[Symbol.asyncDispose]();
      await (await open({ directory: './other' }))[Symbol.asyncDispose]();
      await lose();
      await expect(remembering()).rejects.toThrow(problem);
      // Another directory is another CA.
      await remembering('./third');
    });

    it('starts again from its own directory', async () => {
      await (await remembering())[Symbol.asyncDispose]();
      await issued(await remembering(), orderFor(new DeviceKey('ec')));
    });
  });

  it('issues nothing when another CA takes the place of its own', async () => {
    const ca = await open();
    await open({ directory: './other' });
    await copyFile(join(home.path, 'other/issuing.pem'), join(directory, 'new.pem'));
    await rename(join(directory, 'new.pem'), join(directory, 'issuing.pem'));
    await expect(ca.issue(orderFor(new DeviceKey('ec')), never)).rejects.toThrow(/was replaced/);
  });

  it('looks at what its files say, and not only at their numbers, which the next file may get', async () => {
    const ca = await open();
    const file = join(directory, 'root.pem');
    const root = await readFile(file);
    // As a tool of configuration writes it again: the same text in another file.
    await writeFile(`${file}.new`, root);
    await rename(`${file}.new`, file);
    await chmod(file, 0o600);
    await issued(ca, orderFor(new DeviceKey('ec')));
    await rm(file);
    await writeFile(file, Buffer.from(root).fill(65));
    await expect(ca.check(never)).rejects.toThrow(/root.pem was replaced/);
    await writeFile(file, root);
    await ca.check(never);
  });

  it('keeps its lock on the ledger when it is opened twice in one process', async ({ skip }) => {
    skip(process.platform !== 'linux', 'Only Linux tells which locks there are.');
    const ca = await open();
    await (await open())[Symbol.asyncDispose]();
    // Without it the next process that closes the ledger takes itself for the last one, and deletes the log.
    const { ino } = await stat(join(directory, 'ledger.db'));
    const locks = (await readFile('/proc/locks', 'utf8')).split('\n');
    expect(locks.filter((lock) => lock.includes(`:${ino} `))).not.toEqual([]);
    await issued(ca, orderFor(new DeviceKey('ec')));
  });

  it('publishes its CRL again when somebody deleted it', async () => {
    const ca = await open();
    await rm(join(directory, 'crl.pem'));
    await ca.check(never);
    expect(await readFile(join(directory, 'crl.pem'), 'utf8')).toContain('X509 CRL');
  });

  it('keeps its keys, its ledger and its directory to itself', async () => {
    await open();
    const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);
    expect(await modeOf(directory)).toBe('700');
    for (const name of await readdir(directory)) {
      const isPublic = ['root.pem', 'issuing.pem', 'crl.pem'].includes(name);
      expect(`${name} ${await modeOf(join(directory, name))}`).toBe(
        `${name} ${isPublic ? '644' : '600'}`,
      );
    }
  });

  it.each(['ec', 'rsa'] as const)('issues what openssl accepts (%s)', async (keyType) => {
    const ca = await open({ keyType });
    for (const device of ['rsa', 'ec'] as const) {
      const certificate = await issued(ca, orderFor(new DeviceKey(device)));
      expect(await opensslVerify(certificate)).toContain('OK');
    }
  });

  it('marks the names as critical where there is no subject', async () => {
    const ca = await open();
    const certificate = await issued(ca, orderFor(new DeviceKey('ec'), { subject: [] }));
    const names = readCertificate(certificate).extensions.find(({ type }) => type === '2.5.29.17');
    expect(names?.critical).toBe(true);
    expect(await opensslVerify(certificate)).toContain('OK');
  });

  it('certifies the SID that was asked for, and only then', async () => {
    const ca = await open();
    const sid = 'S-1-5-21-1111111111-222222222-333333333-1001';
    const sidsIn = async (asked: Partial<RequestedCertificate>) => {
      const certificate = await issued(ca, orderFor(new DeviceKey('ec'), asked));
      const { extensions } = readCertificate(certificate);
      const found = extensions.filter(({ type }) => type === microsoftOid.securityIdentifier);
      return found.map(({ value }) => decodeSid(value));
    };
    expect(await sidsIn({ securityIdentifier: sid })).toEqual([sid]);
    expect(await sidsIn({})).toEqual([]);
  });

  it('is the same CA after a restart, and gives the certificates of old orders again', async () => {
    const order = orderFor(new DeviceKey('ec'));
    const before = await open();
    const certificate = await issued(before, order);
    await before[Symbol.asyncDispose]();
    const root = await readFile(join(directory, 'root.pem'));
    const after = await open();
    expect(await issued(after, order)).toEqual(certificate);
    expect(await readFile(join(directory, 'root.pem'))).toEqual(root);
  });

  it('rejects a request id that comes again with another key', async () => {
    const ca = await open();
    const order = orderFor(new DeviceKey('ec'));
    await issued(ca, order);
    const other = { ...orderFor(new DeviceKey('ec')), requestId: order.requestId };
    expect(await ca.issue(other, never)).toMatchObject({ kind: 'rejected' });
    const fresh = randomBytes(16).toString('hex');
    const [one, two] = await Promise.all([
      ca.issue({ ...order, requestId: fresh }, never),
      ca.issue({ ...other, requestId: fresh }, never),
    ]);
    expect([one.kind, two.kind]).toEqual(['issued', 'rejected']);
  });

  it.each([
    ['for another key', (csr: Uint8Array) => csr, true],
    ['with a bad signature', (csr: Uint8Array) => csr.with(-1, (csr.at(-1) ?? 0) ^ 1), false],
    ['that is cut off', (csr: Uint8Array) => csr.subarray(0, -9), false],
    ['that is empty', () => new Uint8Array(), false],
  ])('rejects a CSR %s', async (_what, spoil, otherKey) => {
    const ca = await open();
    const order = orderFor(new DeviceKey('ec'));
    const subjectPublicKeyInfo = otherKey
      ? new DeviceKey('ec').subjectPublicKeyInfo
      : order.subjectPublicKeyInfo;
    const answer = await ca.issue({ ...order, subjectPublicKeyInfo, csr: spoil(order.csr) }, never);
    expect(answer).toMatchObject({ kind: 'rejected' });
  });

  it.each([
    ['a DNS name that is not ASCII', { subjectAltNames: [{ type: 'dns', value: 'käse.example' }] }],
    ['an empty common name', { subject: [[{ type: '2.5.4.3', value: '' }]] }],
  ] as const)('rejects %s instead of failing', async (_what, asked) => {
    const ca = await open();
    const order = orderFor(new DeviceKey('ec'));
    const answer = await ca.issue({ ...order, wanted: { ...wanted, ...asked } }, never);
    expect(answer).toMatchObject({ kind: 'rejected' });
  });

  it('issues nothing for an order that was aborted before it was written', async () => {
    const ca = await open();
    const order = orderFor(new DeviceKey('ec'));
    const controller = new AbortController();
    const call = ca.issue(order, controller.signal);
    controller.abort(new Error('enough'));
    await expect(call).rejects.toThrow('enough');
    using ledger = new DatabaseSync(join(directory, 'ledger.db'), { readOnly: true });
    expect(ledger.prepare('SELECT count(*) AS n FROM certificate').get()).toMatchObject({ n: 0 });
  });

  it('issues nothing beyond its own end, and nothing after it', async () => {
    const clock = new ManualClock();
    const ca = await open({}, clock);
    clock.advance((10 * 365 - 30) * dayMs);
    const last = new X509Certificate(await issued(ca, orderFor(new DeviceKey('ec'))));
    const issuing = new X509Certificate(await readFile(join(directory, 'issuing.pem')));
    expect(last.validTo).toBe(issuing.validTo);
    clock.advance(31 * dayMs);
    await expect(ca.check(never)).rejects.toMatchObject({ code: 'ca-misconfigured' });
    await expect(ca.issue(orderFor(new DeviceKey('ec')), never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
    });
  });

  it('publishes a revocation at once, once, and with its reason', async () => {
    const ca = await open();
    const certificate = await issued(ca, orderFor(new DeviceKey('ec')));
    await ca.revoke?.(certificate, 'superseded', never);
    const list = await readFile(join(directory, 'crl.pem'), 'utf8');
    await ca.revoke?.(certificate, 'keyCompromise', never);
    expect(await readFile(join(directory, 'crl.pem'), 'utf8')).toBe(list);
    expect(await opensslVerify(certificate)).toContain('certificate revoked');
    const { stdout } = await run('openssl', ['crl', '-in', join(directory, 'crl.pem'), '-text']);
    expect(stdout).toContain(readCertificate(certificate).serialNumber);
    expect(stdout).toContain('Superseded');
  });

  it('refuses to revoke what it never issued', async () => {
    const ca = await open();
    const foreign = await readFile(join(directory, 'issuing.pem'));
    const { raw } = new X509Certificate(foreign);
    await expect(ca.revoke?.(raw, 'unspecified', never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
    });
  });

  it('makes its CRL anew before it runs out, with a higher number', async () => {
    const clock = new ManualClock();
    await open({}, clock);
    const numberOf = async () => {
      const args = ['crl', '-in', join(directory, 'crl.pem'), '-noout', '-crlnumber'];
      const { stdout } = await run('openssl', args);
      return BigInt(stdout.trim().replace('crlNumber=', ''));
    };
    const first = await numberOf();
    for (let hour = 0; hour < 4 * 24; hour++) {
      clock.advance(dayMs / 24);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await numberOf()).toBeGreaterThan(first);
  });

  it('goes on from where a crash interrupted its creation', async () => {
    const first = await open();
    await first[Symbol.asyncDispose]();
    const rootKey = await readFile(join(directory, 'root-key.pem'), 'utf8');
    for (const lost of [['issuing.pem'], ['issuing-key.pem', 'issuing.pem'], ['root.pem']]) {
      for (const name of lost) await rm(join(directory, name));
      await rm(join(directory, 'issuing.pem'), { force: true });
      await writeFile(join(directory, 'issuing.pem.new'), 'half a certif');
      const ca = await open();
      const certificate = await issued(ca, orderFor(new DeviceKey('ec')));
      expect(await opensslVerify(certificate)).toContain('OK');
      await ca[Symbol.asyncDispose]();
      await rm(join(directory, 'ledger.db'));
    }
    expect(await readFile(join(directory, 'root-key.pem'), 'utf8')).toBe(rootKey);
  });

  it('is made once when several processes start at the same moment', async () => {
    const order = orderFor(new DeviceKey('ec'));
    const asJson = JSON.stringify({ ...order, subjectPublicKeyInfo: '', csr: '' });
    const program = join(import.meta.dirname, 'commands/order-from-local-ca.mjs');
    const outputs = await Promise.all(
      [1, 2, 3].map(() => {
        const child = spawn(process.execPath, [program, directory], { stdio: 'pipe' });
        child.stdin.end(
          JSON.stringify({
            order: asJson,
            subjectPublicKeyInfo: Buffer.from(order.subjectPublicKeyInfo).toString('base64'),
            csr: Buffer.from(order.csr).toString('base64'),
          }),
        );
        return new Promise<string>((resolve, reject) => {
          let text = '';
          child.stdout.on('data', (chunk) => {
            text += chunk;
          });
          child.stderr.pipe(process.stderr);
          child.once('error', reject);
          child.once('close', () => resolve(text));
        });
      }),
    );
    expect(outputs[0]).toMatch(/BEGIN CERTIFICATE/);
    expect(new Set(outputs).size).toBe(1);
  });

  it.each([
    ['another kind of key', { keyType: 'rsa' }, 'ask for rsa'],
    ['another name', { name: 'SIMULATOR - NOT FOR PRODUCTION' }, 'is not called'],
  ])('says so when the directory holds a CA with %s', async (_what, given, message) => {
    await open();
    await expect(open(given)).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringContaining(message),
    });
  });

  it('makes no new CA over a ledger of issued certificates', async () => {
    const ca = await open();
    await issued(ca, orderFor(new DeviceKey('ec')));
    await ca[Symbol.asyncDispose]();
    await rm(join(directory, 'issuing.pem'));
    await expect(open()).rejects.toMatchObject({ code: 'ca-misconfigured' });
  });

  it('works without the root’s key, which may be kept elsewhere', async () => {
    const before = await open();
    await before[Symbol.asyncDispose]();
    await rm(join(directory, 'root-key.pem'));
    const ca = await open();
    expect(await opensslVerify(await issued(ca, orderFor(new DeviceKey('ec'))))).toContain('OK');
  });

  it.each([
    ['a key that is not the certificate’s', 'issuing-key.pem', 'root-key.pem'],
    ['a root that did not issue the issuing CA', 'root.pem', 'issuing.pem'],
  ])('refuses %s', async (_what, replaced, by) => {
    const before = await open();
    await before[Symbol.asyncDispose]();
    await writeFile(join(directory, replaced), await readFile(join(directory, by)));
    await expect(open()).rejects.toMatchObject({ code: 'ca-misconfigured' });
  });

  it('names the file when the ledger is not a ledger', async () => {
    await mkdir(directory, { mode: 0o700 });
    await writeFile(join(directory, 'ledger.db'), randomBytes(8_192));
    await expect(open()).rejects.toMatchObject({
      code: 'ca-misconfigured',
      message: expect.stringContaining(join(directory, 'ledger.db')),
    });
  });

  it('fails its check when the directory has gone', async () => {
    const ca = await open();
    await ca.check(never);
    await chmod(directory, 0o700);
    await rm(directory, { recursive: true });
    await expect(ca.check(never)).rejects.toMatchObject({ code: 'ca-misconfigured' });
  });
});
