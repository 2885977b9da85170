import { execFileSync } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../simulator/peers/free-port.ts';
import { type LoopbackProcess, startProcess } from '../../simulator/peers/loopback-process.ts';
import { until } from '../support/service-process.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

/*
 * FreeRADIUS as docs/run/wifi.md tells administrators to set it up: its `eap` module is the page's own text.
 */

export const howToGetFreeRadius = 'apt-get install freeradius libfaketime';

const program = '/usr/sbin/freeradius';
const page = join(import.meta.dirname, '../../docs/run/wifi.md');

export function findFreeRadius(): boolean {
  return existsSync(program) && fakeTime() !== undefined;
}

/** A library that gives a program another clock. */
function fakeTime(): string | undefined {
  return globSync('/usr/lib/*/faketime/libfaketime.so.1')[0];
}

export interface FreeRadius extends LoopbackProcess {
  readonly port: number;
  readonly secret: string;
  /** What its own certificate is called, and the file (PEM) by which it is known. */
  readonly name: string;
  readonly certificateFile: string;
  /** Once it has let somebody in or refused somebody: everything it wrote (`-X`). */
  decided(): Promise<string>;
}

/**
 * A server of its own for one login, so that all it says is about that.
 *
 * @param clients whose certificates it lets in: CA certificates and CRLs, PEM.
 * @param daysAhead its clock, against the machine's.
 */
export async function startFreeRadius(clients: string, daysAhead: number): Promise<FreeRadius> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory()).path;
  const port = await freePort();
  const secret = 'only of this test';
  const name = 'radius.example';
  await mkdir(join(directory, 'certs'));
  makeServerCertificate(join(directory, 'certs'), name);
  await writeFile(join(directory, 'certs/clients.pem'), clients);
  await writeFile(join(directory, 'eap'), await moduleOfPage());
  await writeFile(join(directory, 'radiusd.conf'), settings(directory, port, secret), {
    mode: 0o600,
  });
  const words = ['-f', '-X', '-d', directory, '-n', 'radiusd'];
  const running = stack.use(
    await startProcess(program, words, { ports: [], directory, env: clock(daysAhead) }),
  );
  await said(running, /^Ready to process requests$/m);
  const owned = stack.move();
  return {
    port,
    secret,
    name,
    certificateFile: join(directory, 'certs/server.pem'),
    async decided() {
      await said(running, /Sent Access-(?:Accept|Reject) [\s\S]*Finished request/);
      return running.output();
    },
    output: () => running.output(),
    freeze: () => running.freeze(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function said(running: LoopbackProcess, what: RegExp): Promise<void> {
  return until(
    () => what.test(running.output()),
    () => `FreeRADIUS says ${what}; it said:\n${running.output()}`,
    10_000,
  );
}

/** The supplicant knows the server by this very certificate, which is nobody else's. */
function makeServerCertificate(directory: string, name: string): void {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30'];
  const names = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`];
  const usage = ['-addext', 'extendedKeyUsage=serverAuth'];
  const out = ['-keyout', 'server-key.pem', '-out', 'server.pem'];
  execFileSync('openssl', ['req', '-x509', ...key, ...names, ...usage, ...out], {
    cwd: directory,
    stdio: 'pipe',
  });
}

async function moduleOfPage(): Promise<string> {
  const text = await readFile(page, 'utf8');
  const [, module] = /^```text\n(# mods-enabled\/eap\n[^`]*)```$/m.exec(text) ?? [];
  if (module === undefined) throw new Error(`${page} shows no module eap.`);
  return module;
}

/** What a distribution's radiusd.conf has, cut down to one virtual server. */
function settings(directory: string, port: number, secret: string): string {
  return `
name = radiusd
prefix = /usr
raddbdir = ${directory}
certdir = ${directory}/certs
logdir = ${directory}
run_dir = ${directory}
libdir = /usr/lib/freeradius
pidfile = ${directory}/radiusd.pid
security {
	# Nobody guesses here, so a refusal need not be slow.
	reject_delay = 0
	allow_vulnerable_openssl = yes
}
client loopback {
	ipaddr = 127.0.0.1
	secret = "${secret}"
}
modules {
	$INCLUDE ${directory}/eap
}
server default {
	listen {
		type = auth
		ipaddr = 127.0.0.1
		port = ${port}
	}
	authorize {
		eap
	}
	authenticate {
		eap
	}
}
`;
}

function clock(daysAhead: number): Readonly<Record<string, string>> {
  if (daysAhead === 0) return {};
  return {
    LD_PRELOAD: fakeTime() ?? '',
    FAKETIME: `+${daysAhead}d`,
    FAKETIME_DISABLE_SHM: '1',
  };
}
