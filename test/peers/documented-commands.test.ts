import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FakeCa } from '../../examples/my-ca/fake-ca.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { root, snippets } from '../docs/snippets.ts';

/*
 * The commands of the documentation as somebody copies them, in a directory that looks like the project's; only
 * paths that belong to the machine are others. test/docs/commands.ts says which are run here.
 */

const run = promisify(execFile);
let home: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'certprov-documented-'));
  for (const name of ['node_modules', 'certprov.js', 'simulator', 'examples', 'docs', '.npmrc']) {
    await symlink(join(root, name), join(home, name));
  }
  for (const name of ['package.json', 'config.yaml']) await cp(join(root, name), join(home, name));
});
afterAll(() => rm(home, { recursive: true, force: true, maxRetries: 3 }));

/** The block whose text has this. */
function block(part: string): string {
  const found = snippets.find(({ language, text }) => language === 'sh' && text.includes(part));
  if (found === undefined) throw new Error(`No block of the documentation has ${part}.`);
  return found.text;
}

/** The one line of the documentation's blocks that begins so, without its comment. */
function line(start: string): string {
  const found = block(start)
    .split('\n')
    .find((one) => one.startsWith(start));
  return (found ?? '').replace(/\s+#.*$/, '');
}

const shell = (text: string, env: Record<string, string> = {}) =>
  run('sh', ['-ec', text], { cwd: home, env: { ...process.env, ...env }, timeout: 100_000 });

describe('commands of the documentation', () => {
  it('check-config, on the example', async () => {
    const { stdout } = await shell(line('npm run certprov -- check-config'));
    expect(stdout).toContain('config.yaml is in order: ');
  });

  it('conformance, over the example', async () => {
    const { stdout } = await shell(line('npm run conformance -- --kind ./examples'));
    expect(stdout).toMatch(/^\d+ passed, 0 failed, 0 not supported$/m);
  });

  it('conformance, over a plug-in of one’s own', async () => {
    await using ca = await FakeCa.start();
    await cp(join(root, 'examples/my-ca/my-ca.ts'), join(home, 'my-ca.ts'));
    await writeFile(join(home, 'token'), ca.token);
    await writeFile(join(home, 'my-ca.yaml'), `url: ${ca.url}\ntoken: { file: token }\n`);
    await writeFile(join(home, 'ca.pem'), encodePem('CERTIFICATE', ca.root));
    const { stdout } = await shell(line('npm run conformance -- --kind ./my-ca.ts'));
    expect(stdout).toMatch(/^\d+ passed, 0 failed, \d+ not supported$/m);
  });

  it.each(['demo', 'simulator', 'bench', 'explore', 'campaign', 'fuzz'])(
    'npm run %s -- --help says what it takes',
    async (tool) => {
      const { stdout } = await run('npm', ['run', tool, '--', '--help'], { cwd: root });
      expect(stdout).toContain(`usage: npm run ${tool} -- `);
      expect(stdout).toMatch(/^ {2}--[a-z]+/m);
    },
  );

  it('a CA of openssl, as docs/authorities/exec.md sets it up', async () => {
    const text = block('openssl req -x509')
      .replaceAll('/var/lib/certprov/ca', join(home, 'openssl-ca'))
      .replaceAll('…/examples', join(root, 'examples'))
      // What openssl asks for at the terminal.
      .replace('openssl req -x509', 'openssl req -x509 -passout env:CA_PASSPHRASE');
    await shell(text, { CA_PASSPHRASE: 'correct horse' });
    const pem = await readFile(join(home, 'openssl-ca/ca.pem'), 'utf8');
    expect(pem).toContain('BEGIN CERTIFICATE');
    expect(existsSync(join(home, 'openssl-ca/openssl.cnf'))).toBe(true);
  });

  it('the simulator, the service, and devices by curl', async ({ skip }) => {
    for (const port of [8460, 8461, 8462, 8470]) {
      if (!(await isFree(port))) return skip(`port ${port} of this machine is taken`);
    }
    await using simulator = started(line('npm run simulator'));
    await answered('http://127.0.0.1:8462/processes', simulator);
    await using service = started(line('npm start'));
    await answered('http://127.0.0.1:8470/readyz', service);
    await shell(line('curl -d'));
    let delivered = 0;
    for (const until = Date.now() + 30_000; delivered < 3 && Date.now() < until; ) {
      const { stdout } = await shell(line('curl http://127.0.0.1:8462/processes'));
      delivered = stdout.match(/"delivered"/g)?.length ?? 0;
      await sleep(200);
    }
    expect(delivered).toBe(3);
  });
});

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
    return true;
  } catch {
    return false; // That is the answer.
  } finally {
    server.close();
  }
}

interface Started extends AsyncDisposable {
  readonly child: ChildProcess;
  text(): string;
}

/** Runs on in a process group of its own, until it is disposed of. */
function started(command: string): Started {
  const child = spawn('sh', ['-c', command], { cwd: home, detached: true, stdio: 'pipe' });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      text += chunk;
    });
  }
  const closed = once(child, 'close');
  return {
    child,
    text: () => text,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, 'SIGTERM');
      await closed;
    },
  };
}

async function answered(url: string, { child, text }: Started): Promise<void> {
  for (const until = Date.now() + 30_000; Date.now() < until; await sleep(100)) {
    if (child.exitCode !== null) throw new Error(`It ended before it answered: ${text()}`);
    const answer = await fetch(url).catch(() => undefined);
    if (answer?.ok === true) return;
  }
  throw new Error(`${url} did not answer: ${text()}`);
}
