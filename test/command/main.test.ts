import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adapters } from '../../adapters/index.ts';
import manifest from '../../package.json' with { type: 'json' };
import { runCommand } from '../../src/command/command-line.ts';
import { adapterLoader } from '../../src/plug-in/adapter-loader.ts';
import { runMain } from '../support/service-process.ts';

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'certprov-main-'));
});

afterAll(() => rm(directory, { recursive: true }));

async function configured(name: string, text: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, text);
  return path;
}

const spoiled = `instanz: certprov-1
google:
  endpoint: http://chromemanagement.googleapis.com
pubsub:
  project: my-project
journal:
  kind: postgres
  url: { env: CERTPROV_TEST_NOT_SET }
authorities:
  wifi:
    kind: lokal-ca
profiles:
  device_profile:
    subject: CN=\${DEVICE_SERIAL_NUMER}
    keyUsages: [digitalSignatur]
limits:
  visits: many
`;

/** Where each mistake is, and a word of what is to be written instead. */
const mistakes: readonly (readonly [line: number, path: string, fix: RegExp])[] = [
  [1, 'instanz', /write instance/],
  [3, 'google.endpoint', /https:\/\//],
  [4, 'pubsub.subscription', /add subscription/],
  [8, 'journal.url', /set it/],
  [11, 'authorities.wifi.kind', /docs\/run\/configuration\.md/],
  [14, 'profiles.device_profile.subject', /correct it/],
  [15, 'profiles.device_profile.keyUsages[0]', /write digitalSignature/],
  [17, 'limits.visits', /write the number/],
];

describe.concurrent('node src/main.ts check-config', { timeout: 60_000 }, () => {
  it('reports eight different mistakes at once, each with line, path and fix', async () => {
    const path = await configured('eight.yaml', spoiled);
    const { status, stdout, stderr } = await runMain(['check-config', '--config', path]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    const reported = stderr.trimEnd().split('\n');
    expect(reported).toHaveLength(8);
    for (const [index, [line, at, fix]] of mistakes.entries()) {
      expect(reported[index]?.startsWith(`${path}:${line}:`), reported[index]).toBe(true);
      expect(reported[index]).toContain(` ${at}: `);
      expect(reported[index]?.split(' Fix: ')[1]).toMatch(fix);
    }
  });

  it('says that a good file is in order, without touching the network', async () => {
    const path = await configured(
      'good.yaml',
      'pubsub: { project: my-project, subscription: worker }\n' +
        'authorities: { ca: { kind: local-ca, options: { directory: ./ca } } }\n' +
        'profiles: { p: { subject: "CN=${DEVICE_SERIAL_NUMBER}" } }\n',
    );
    const { status, stdout, stderr } = await runMain(['check-config', '--config', path]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toBe(`${path} is in order: 1 authorities, 1 profiles.\n`);
  });
});

/** What a command writes and its exit status, in this process. */
async function run(...args: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  const written = { stdout: '', stderr: '' };
  const restore = (['stdout', 'stderr'] as const).map((name) => {
    const { write } = process[name];
    process[name].write = (chunk: string | Uint8Array) => {
      written[name] += chunk;
      return true;
    };
    return () => {
      process[name].write = write;
    };
  });
  try {
    return { status: await runCommand(args, adapterLoader(adapters)), ...written };
  } finally {
    for (const again of restore) again();
  }
}

describe('bad usage ends with status 2', () => {
  it.each([
    [[], 'A command is missing.', 'Usage: npm run certprov -- <command>'],
    [['provision'], 'There is no command "provision".', '<command>'],
    [['check-confg'], 'Did you mean check-config?', '<command>'],
    [['serve', 'now'], '"now" is one argument too many.', '-- serve [options]'],
    [['serve', '--colour'], "Unknown option '--colour'.\n", '-- serve [options]'],
    [['serve', '--config'], "'--config <value>' argument missing", '-- serve [options]'],
    [['serve', '--kind', 'local-ca'], 'serve has no option --kind.', '-- serve [options]'],
    [['conformance'], 'conformance needs --kind.', '--harness FILE'],
    [['conformance', '--kind', 'x', '--timeout', 'soon'], 'not "soon"', '--timeout SECONDS'],
    [['serve', '--config', 'absent.yaml'], 'absent.yaml', 'Fix: '],
  ])('%j', async (args, why, shown) => {
    const { status, stdout, stderr } = await run(...args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain(why);
    expect(stderr).toContain(shown);
  });
});

describe('the command line says of itself', () => {
  it.each([
    [['--help'], /^Usage: npm run certprov -- <command>.*check-config.*--version/s],
    [['-h'], /^Usage: npm run certprov -- <command>/s],
    [['--version'], /^certprov \d+\.\d+\.\d+, Node v24\.\d+\.\d+\n$/s],
    [['serve', '--help'], /^Usage: npm run certprov -- serve.*--config FILE/s],
    [['check-config', '-h'], /^Usage: npm run certprov -- check-config.*--config FILE/s],
    [['conformance', '--help'], /^Usage: npm run certprov -- conformance.*--only TEXT/s],
    [['--help', 'conformance'], /^Usage: npm run certprov -- conformance/s],
  ])('%j', async (args, expected) => {
    const { status, stdout, stderr } = await run(...args);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(expected);
  });
});

/** The first Node on the path that is older than ours, where there is one. */
const older = [...new Set((process.env['PATH'] ?? '').split(':'))]
  .map((path) => join(path, 'node'))
  .find((file) => existsSync(file) && /^v(1\d|2[0-3])\./.test(versionOf(file)));

function versionOf(node: string): string {
  return spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout ?? '';
}

describe('an older Node gets one sentence', { timeout: 60_000 }, () => {
  const sentence =
    /^certprov needs Node 24\.12: this is v\S+ \(\S+\)\. [^\n]*npm ci [^\n]*npm start[^\n]*\n$/;

  it('that can read TypeScript', () => {
    const pretend = `Object.defineProperty(process.versions, 'node', { value: '24.11.1' })`;
    const args = ['--import', `data:text/javascript,${pretend}`, 'src/main.ts', 'serve'];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect(stderr).toMatch(sentence);
    expect(status).toBe(2);
  });

  it('that cannot', ({ skip }) => {
    if (older === undefined) return skip('there is no older Node on this machine');
    const { status, stderr } = spawnSync(older, ['certprov.js', '--help'], { encoding: 'utf8' });
    expect(stderr).toMatch(sentence);
    expect(status).toBe(2);
  });

  it('which names what package.json asks for', () => {
    expect(manifest.engines.node).toBe('>=24.12.0');
  });
});
