import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runMain } from './support/service-process.ts';

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
  [11, 'authorities.wifi.kind', /docs\/configuration\.md/],
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

describe.concurrent('bad usage ends with status 2', { timeout: 60_000 }, () => {
  it.each([
    [[], 'A command is missing.'],
    [['provision'], 'There is no command "provision".'],
    [['serve', 'now'], '"now" is one argument too many.'],
    [['serve', '--colour'], "'--colour'"],
    [['serve', '--config'], "'--config <value>' argument missing"],
    [['serve', '--kind', 'local-ca'], 'serve has no option --kind.'],
    [['conformance'], 'conformance needs --kind.'],
  ])('%j', async (args, why) => {
    const { status, stdout, stderr } = await runMain(args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain(why);
    expect(stderr).toContain('Usage: node src/main.ts <command>');
  });

  it('a configuration that is not there', async () => {
    const path = join(directory, 'absent.yaml');
    const { status, stderr } = await runMain(['serve', '--config', path]);
    expect(status).toBe(2);
    expect(stderr).toContain(path);
    expect(stderr).toMatch(/Fix: \S/);
  });

  it('--help is no bad usage', async () => {
    const { status, stdout, stderr } = await runMain(['--help']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain('check-config');
  });
});
