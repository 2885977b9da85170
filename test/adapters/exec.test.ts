import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import exec from '../../adapters/exec/exec.ts';
import { identityOf } from '../../adapters/shared/process-group.ts';
import { DeviceKey } from '../../conformance/device-key.ts';
import { checkCertificate } from '../../src/deliver/check-certificate.ts';
import { mayHaveIssued, ProvisioningError } from '../../src/errors.ts';
import type {
  CertificateAuthority,
  IssueRequest,
} from '../../src/plug-in/certificate-authority.ts';
import type { RequestedCertificate } from '../../src/request/requested-certificate.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { readCertificates } from '../../src/x509/pem.ts';
import { collectFrom } from '../support/collect-from.ts';
import { connectContext } from '../support/connect-context.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { describeAdapter } from './contract.ts';
import { execHarness, isAlive } from './exec-harness.ts';

describeAdapter('exec', execHarness);

const never = new AbortController().signal;
const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

const wanted: RequestedCertificate = {
  subject: [
    [{ type: '2.5.4.10', value: 'Käse, GmbH' }],
    [{ type: '2.5.4.3', value: 'device.example.org' }],
  ],
  subjectAltNames: [{ type: 'dns', value: 'device.example.org' }],
  keyUsages: ['digitalSignature'],
  extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'],
  validityDays: 90,
  template: 'Wi-Fi',
};

function orderFor(key: DeviceKey): IssueRequest {
  return {
    requestId: '0123456789abcdef0123456789abcdef',
    processId: 'process-1',
    keyType: key.keyType,
    subjectPublicKeyInfo: key.subjectPublicKeyInfo,
    subject: { kind: 'user', userPrimaryEmail: 'a@example.org' },
    wanted,
    csr: key.request(wanted),
  };
}

async function gone(pid: number): Promise<void> {
  await expect.poll(() => isAlive(pid), { interval: 10, timeout: 10_000 }).toBe(false);
}

/** Lets time pass until the work is done. */
async function until(work: Promise<unknown>, pass: () => void): Promise<void> {
  let done = false;
  const settled = () => {
    done = true;
  };
  void work.then(settled, settled);
  for (; !done; await sleepFor(10)) pass();
}

describe('a CA behind a command', () => {
  let home: Awaited<ReturnType<typeof temporaryDirectory>>;
  let opened: CertificateAuthority[];
  const order = orderFor(new DeviceKey('ec'));

  beforeEach(async () => {
    home = await temporaryDirectory();
    vi.stubEnv('TMPDIR', home.path);
    opened = [];
  });
  afterEach(async () => {
    for (const ca of opened) await ca[Symbol.asyncDispose]();
    vi.unstubAllEnvs();
    await home[Symbol.asyncDispose]();
  });

  /** Where requests lie while their commands run. */
  function requests(): string {
    return join(home.path, `certprov-exec-${process.getuid?.()}`);
  }

  async function open(given: object, settings: Parameters<typeof connectContext>[1] = {}) {
    const context = connectContext(home.path, settings);
    const ca = await exec.connect(exec.options.parse(given), context, never);
    opened.push(ca);
    return ca;
  }

  /** A command that is a line of JavaScript. */
  function script(code: string): string[] {
    return [process.execPath, '--input-type=module', '-e', code];
  }

  it('does not repeat a secret that the command writes where a certificate belongs', async () => {
    const label = '-----BEGIN ${process.env.PASSWORD}-----';
    const ca = await open(
      {
        command: script(`console.log(\`${label}\`)`),
        env: { PASSWORD: { env: 'CA_PASSWORD' } },
      },
      { env: { CA_PASSWORD: 'tell-nobody' } },
    );
    const error: unknown = await ca.issue(order, never).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'ca-bad-answer' });
    expect(String(error)).toMatch(/begins a \[secret\] where only CERTIFICATE belongs/);
  });

  it('tells the command everything by the environment, a private file and stdin', async () => {
    process.env['CERTPROV_TEST_CONFIDENCE'] = 'nobody’s business';
    const note = join(home.path, 'note.json');
    const code = `
      import fs from 'node:fs';
      const file = process.env.CERTPROV_REQUEST_FILE;
      fs.writeFileSync(process.argv[1], JSON.stringify({
        env: process.env, cwd: process.cwd(), stdin: fs.readFileSync(0, 'utf8'), argv: process.argv.slice(2),
        mode: (fs.statSync(file).mode & 0o777).toString(8), told: JSON.parse(fs.readFileSync(file, 'utf8')),
      }));
      process.exitCode = 4;`;
    const ca = await open(
      {
        command: [...script(code), note, '$HOME; rm -rf "x" *', ''],
        env: { REGION: 'eu', PASSWORD: { env: 'CA_PASSWORD' } },
      },
      { env: { CA_PASSWORD: 'tell nobody' } },
    );
    await ca.issue(order, never);
    delete process.env['CERTPROV_TEST_CONFIDENCE'];
    const seen = JSON.parse(await readFile(note, 'utf8'));
    expect(seen.argv).toEqual(['$HOME; rm -rf "x" *', '']);
    expect(seen.cwd).toBe(home.path);
    expect(seen.mode).toBe('600');
    expect(seen.stdin).toMatch(/^-----BEGIN CERTIFICATE REQUEST-----\n/);
    expect(seen.env).toMatchObject({
      PATH: process.env['PATH'],
      REGION: 'eu',
      PASSWORD: 'tell nobody',
      CERTPROV_REQUEST_ID: order.requestId,
    });
    const allowed = ['PATH', 'HOME', 'LANG', 'TMPDIR', 'REGION', 'PASSWORD'];
    const others = Object.keys(seen.env).filter((name) => !allowed.includes(name));
    expect(others.toSorted()).toEqual(['CERTPROV_REQUEST_FILE', 'CERTPROV_REQUEST_ID']);
    expect(seen.told).toEqual({
      requestId: order.requestId,
      processId: 'process-1',
      requestedBy: order.subject,
      keyType: 'ec',
      subject: 'CN=device.example.org,O=Käse\\, GmbH',
      subjectRdns: wanted.subject,
      subjectAltNames: wanted.subjectAltNames,
      keyUsages: ['digitalSignature'],
      extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'],
      validityDays: 90,
      template: 'Wi-Fi',
      csrPem: seen.stdin,
    });
    await expect(readFile(seen.env.CERTPROV_REQUEST_FILE)).rejects.toThrow('ENOENT');
  });

  it('starts a relative program at the configuration file’s directory', async () => {
    await mkdir(join(home.path, 'bin'));
    await symlink(process.execPath, join(home.path, 'bin/sign'));
    const ca = await open({ command: ['bin/sign', '-e', 'process.exit(4)'] });
    await ca.check(never);
    expect(await ca.issue(order, never)).toMatchObject({ kind: 'rejected' });
  });

  it.each([
    ['does not exist', './missing', undefined],
    ['is not executable', './plain', 0o644],
    ['is in no directory of PATH', 'certprov-no-such-program', undefined],
  ])('holds the orders when the program %s', async (_what, program, mode) => {
    if (mode !== undefined) {
      await writeFile(join(home.path, program), '#!/bin/sh\nexit 0\n');
      await chmod(join(home.path, program), mode);
    }
    const ca = await open({ command: [program] });
    const problem = {
      code: 'ca-misconfigured',
      message: expect.stringContaining(program.slice(2)),
    };
    await expect(ca.check(never)).rejects.toMatchObject(problem);
    await expect(ca.issue(order, never)).rejects.toMatchObject(problem);
  });

  it('runs nothing in its check unless there is a command for it', async () => {
    const ca = await open({ command: script('process.exit(1)') });
    await ca.check(never);
    const failing = `console.error('the HSM is off'); process.exit(1)`;
    const checked = await open({ command: ['node'], checkCommand: script(failing) });
    await expect(checked.check(never)).rejects.toMatchObject({
      code: 'ca-unavailable',
      message: expect.stringContaining('the HSM is off'),
    });
  });

  it.each([
    ['nothing', '', 'no PEM block'],
    ['text', `console.log('done')`, 'no PEM block'],
    [
      'a key',
      `console.log('-----BEGIN PRIVATE KEY-----\\nAAAA\\n-----END PRIVATE KEY-----')`,
      'PRIVATE KEY',
    ],
    [
      'bytes in PEM',
      `console.log('-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----')`,
      'certificate',
    ],
    [
      'two MiB',
      `process.stdout.write('x'.repeat(2 << 20)); setInterval(() => {}, 1e6)`,
      'more than 1 MiB',
    ],
    ['pending without a ticket', 'process.exitCode = 3', 'without a ticket'],
    ['a ticket that is not text', `console.log('a\\u0007b'); process.exitCode = 3`, 'a ticket'],
    ['a ticket without end', `console.log('x'.repeat(5000)); process.exitCode = 3`, 'a ticket'],
  ])('takes %s for a bad answer', async (_what, code, message) => {
    const ca = await open({ command: script(code) });
    await expect(ca.issue(order, never)).rejects.toMatchObject({
      code: 'ca-bad-answer',
      message: expect.stringContaining(message),
    });
  });

  it.each([
    [
      'its last words',
      `console.error('one\\u001b[31m'); console.error('two'); process.exit(7)`,
      'status 7: one [31m\ntwo',
    ],
    [
      'the end of very long words',
      `process.stderr.write('x'.repeat(300000) + ' the end'); process.exitCode = 1`,
      'the end',
    ],
    [
      'the signal that killed it',
      `process.kill(process.pid, 'SIGKILL'); setInterval(() => {}, 1e6)`,
      'SIGKILL',
    ],
  ])('tells operators of a failure with %s', async (_what, code, message) => {
    const ca = await open({ command: script(code) });
    const error = await ca.issue(order, never).catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      code: 'ca-unavailable',
      message: expect.stringContaining(message),
    });
    expect((error as Error).message.length).toBeLessThan(3_000);
  });

  it('does not mind a command that never reads the request', async () => {
    const code = `import fs from 'node:fs'; fs.closeSync(0); console.error('no'); process.exitCode = 4`;
    const ca = await open({ command: script(code) });
    expect(await ca.issue(order, never)).toEqual({ kind: 'rejected', reason: 'no' });
  });

  it('ends a command that takes too long, and one that ignores SIGTERM a little later', async () => {
    const clock = new ManualClock();
    const pidFile = join(home.path, 'pid');
    const code = `
      import fs from 'node:fs';
      process.on('SIGTERM', () => fs.writeFileSync(process.argv[1], process.pid + ' was asked'));
      fs.writeFileSync(process.argv[1], process.pid + ' runs');
      setInterval(() => {}, 1e6);`;
    const ca = await open({ command: [...script(code), pidFile], timeoutSeconds: 5 }, { clock });
    const call = expect(ca.issue(order, never)).rejects.toMatchObject({
      code: 'ca-unavailable',
      message: expect.stringContaining('within 5 s'),
    });
    const said = (words: string) =>
      expect
        .poll(() => readFile(pidFile, 'utf8').catch(() => ''), { timeout: 10_000 })
        .toContain(words);
    await said('runs');
    clock.advance(5_000);
    await call;
    await said('was asked');
    const pid = Number.parseInt(await readFile(pidFile, 'utf8'), 10);
    clock.advance(2_000);
    await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);
    expect(clock.sleeping).toBe(0);
  });

  it.each([
    ['in its group', 'sleep 60 & echo $! > pid'],
    [
      'deaf to SIGTERM',
      `(trap '' TERM; echo $$ > up; sleep 60; sleep 60) & echo $! > pid; until [ -s up ]; do :; done`,
    ],
    [
      'outside its group',
      'setsid sh -c "echo up > up; sleep 60" & echo $! > pid; until [ -s up ]; do :; done',
    ],
  ])(
    'takes the exit of a command for its end, although a child %s holds its output',
    async (where, left) => {
      const clock = new ManualClock();
      const code = `${left}; echo 'not today' >&2; exit 4`;
      const ca = await open({ command: ['sh', '-c', code] }, { clock });
      const answer = ca.issue(order, never);
      const reached = until(answer, () => clock.advance(100));
      expect(await answer).toEqual({ kind: 'rejected', reason: 'not today' });
      await reached;
      const pid = Number(await readFile(join(home.path, 'pid'), 'utf8'));
      if (where === 'outside its group') {
        process.kill(pid, 'SIGKILL');
      } else {
        await until(gone(pid), () => clock.advance(100));
      }
      const released = expect.poll(() => readdir(requests()), { interval: 10 }).toEqual([]);
      await until(released, () => clock.advance(100));
    },
  );

  it('takes the exit of checkCommand and revokeCommand for their end, too', async () => {
    const left = ['sh', '-c', 'sleep 60 & exit 0'];
    const ca = await open({
      command: ['sh'],
      checkCommand: left,
      revokeCommand: left,
      timeoutSeconds: 5,
    });
    await ca.check(never);
    await ca.revoke?.(order.subjectPublicKeyInfo, 'superseded', never);
  });

  it.each([
    ['ran out of time', 'sleep 60', { timeoutSeconds: 0.05 }, true],
    ['was killed', 'kill -9 $$', {}, true],
    ['was killed inside a shell', 'exit 137', {}, true],
    ['gave garbage', 'echo garbage', {}, true],
    ['said that it failed', 'exit 7', {}, false],
    ['could not be started', undefined, {}, false],
  ])(
    'says whether an order may have been carried out whose command %s',
    async (_how, code, more, may) => {
      const command = code === undefined ? ['./missing'] : ['sh', '-c', code];
      const ca = await open({ command, ...more });
      const error = await ca.issue(order, never).catch((caught: unknown) => caught);
      if (!(error instanceof ProvisioningError)) throw error;
      expect(mayHaveIssued(error)).toBe(may);
    },
  );

  describe('after a service that was killed', () => {
    const dead = { pid: 4_194_304, startedAt: 'another boot 1' };
    let left: ChildProcess;
    beforeEach(async () => {
      left = spawn('sleep', ['60'], { detached: true, stdio: 'ignore' });
      await once(left, 'spawn');
    });
    afterEach(() => left.kill('SIGKILL'));

    async function leave(name: string, run: object): Promise<void> {
      await mkdir(join(requests(), name), { recursive: true, mode: 0o700 });
      await chmod(requests(), 0o700);
      await writeFile(join(requests(), name, 'run.json'), JSON.stringify(run));
    }

    it('never runs an order beside its earlier run, and ends that one when its time is over', async () => {
      const clock = new ManualClock();
      const ca = await open({ command: ['sh', '-c', 'exit 4'] }, { clock });
      expect(await ca.issue(order, never)).toMatchObject({ kind: 'rejected' });
      const name = `${order.requestId}-${hash('sha256', '["sh","-c","exit 4"]', 'hex').slice(0, 16)}`;
      const command = identityOf(Number(left.pid));
      await leave(name, { service: dead, command, until: clock.now() + 7_000 });
      const busy = {
        code: 'ca-throttled',
        message: expect.stringContaining(`process ${left.pid}`),
      };
      // Time passes only while somebody waits for it: however slow the machine is, the looks are the same.
      const look = () => clock.advance(clock.sleeping > 0 ? 100 : 0);
      const refused = ca.issue(order, never);
      await until(refused, look);
      await expect(refused).rejects.toMatchObject(busy);
      expect(left.signalCode).toBeNull();
      clock.advance(2_500);
      const ended = once(left, 'exit');
      const repeated = ca.issue(order, never);
      expect(await ended).toEqual([null, 'SIGTERM']);
      await until(repeated, look);
      expect(await repeated).toMatchObject({ kind: 'rejected' });
    });

    it('sweeps at the start what is ours and dead, and nothing else', async () => {
      const until = Date.now() + 60_000;
      await leave('of-a-dead-service', { service: dead, until });
      await leave('of-a-dead-command', {
        service: dead,
        command: { ...dead, pid: left.pid },
        until,
      });
      await leave('of-a-running-command', {
        service: dead,
        command: identityOf(Number(left.pid)),
        until,
      });
      await leave('of-a-running-service', { service: identityOf(process.pid), until });
      for (const [directory, file] of [
        ['certprov-Ab3dEf', 'request.json'],
        ['certprov-xyz123', 'somebody-elses.json'],
      ] as const) {
        await mkdir(join(home.path, directory));
        await writeFile(join(home.path, directory, file), '{}');
        await utimes(join(home.path, directory, file), 1, 1);
      }
      // A link that another user put into /tmp, to a directory of ours.
      const precious = join(home.path, 'precious');
      await mkdir(precious);
      await writeFile(join(precious, 'request.json'), '{}');
      await utimes(join(precious, 'request.json'), 1, 1);
      await symlink(precious, join(home.path, 'certprov-aaaaaa'));
      await open({ command: ['node'] });
      const others = async () =>
        (await readdir(home.path)).filter((name) => name !== basename(requests()));
      const kept = ['certprov-aaaaaa', 'certprov-xyz123', 'precious'];
      await expect.poll(others, { interval: 10 }).toEqual(kept);
      expect(await readdir(precious)).toEqual(['request.json']);
      expect(await readdir(requests())).toEqual(['of-a-running-command', 'of-a-running-service']);
    });

    it('holds orders whose request cannot be written', async () => {
      const ca = await open({ command: ['sh', '-c', 'exit 4'] });
      await rm(requests(), { recursive: true });
      await writeFile(requests(), 'in the way');
      await expect(ca.issue(order, never)).rejects.toMatchObject({
        code: 'ca-misconfigured',
        message: expect.stringContaining('Requests cannot be written'),
      });
    });

    it('writes no request where another user could read it', async () => {
      await mkdir(requests(), { mode: 0o755 });
      await expect(open({ command: ['node'] })).rejects.toMatchObject({
        code: 'ca-misconfigured',
        message: expect.stringContaining('not a directory of ours alone'),
      });
    });
  });

  it('refuses a ticket that no command gave', async () => {
    const ca = await open({ command: ['node'] });
    await expect(collectFrom(ca, { transaction: 1 }, order, never)).rejects.toMatchObject({
      code: 'ca-misconfigured',
    });
  });

  it('promises only what its options say', async () => {
    const plain = await open({ command: ['node'] });
    expect(plain.features).toMatchObject({ idempotent: false, pending: true, revoke: false });
    expect(plain.revoke).toBeUndefined();
    const able = await open({ command: ['node'], idempotent: true, revokeCommand: ['node'] });
    expect(able.features).toMatchObject({ idempotent: true, revoke: true });
  });

  it.each([
    ['no command', {}],
    ['an empty command', { command: [] }],
    ['an empty program', { command: [' '] }],
    ['a command in one string', { command: 'openssl ca' }],
    ['a variable of ours', { command: ['node'], env: { CERTPROV_TICKET: 'x' } }],
    ['an unknown option', { command: ['node'], timeout: 5 }],
  ])('refuses options with %s', (_what, given) => {
    expect(exec.options.safeParse(given).success).toBe(false);
  });

  it.skipIf(!hasOpenssl)('signs with a plain openssl command', async () => {
    const openssl = (...words: string[]) =>
      execFileSync('openssl', words, { cwd: home.path, stdio: 'pipe' });
    openssl(
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      'ca.key',
      '-out',
      'ca.pem',
      '-days',
      '365',
      '-subj',
      '/CN=openssl',
    );
    const ca = await open({
      command: [
        'openssl',
        'x509',
        '-req',
        '-CA',
        'ca.pem',
        '-CAkey',
        'ca.key',
        '-days',
        '90',
        '-copy_extensions',
        'copyall',
        '-text',
      ],
    });
    const answer = await ca.issue(order, never);
    if (answer.kind !== 'issued') throw new Error(answer.kind);
    checkCertificate({
      certificate: answer.certificate,
      chain: answer.chain,
      subjectPublicKeyInfo: order.subjectPublicKeyInfo,
      wanted,
      roots: readCertificates(await readFile(join(home.path, 'ca.pem'))),
      mayDrop: [],
      now: Date.now(),
    });
    expect(readCertificate(answer.certificate).isCa).toBe(false);
  });
});
