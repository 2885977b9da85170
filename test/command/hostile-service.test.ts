import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Simulator } from '../../simulator/outside-world.ts';
import { startSimulator } from '../../simulator/simulator.ts';
import { encodePem } from '../../src/x509/pem.ts';
import {
  type HostileProcess,
  hostileAnswers,
  hostileMessages,
  hostileProcesses,
  hostileTable,
} from '../support/hostile-input.ts';
import { testSeed } from '../support/seed.ts';
import { ServiceHome, type ServiceProcess, until } from '../support/service-process.ts';
import { makeCa, makeLeaf, newKeys } from '../support/test-certificates.ts';

/*
 * One running service gets everything at once; each test looks for what it made of one thing.
 */

let simulator: Simulator;
let home: ServiceHome;
let service: ServiceProcess;
const processIds = new Map<string, string>();
const answerIds = new Map<string, string>();

const reference = (index: number) => `hostile-${index}`;

beforeAll(async () => {
  simulator = await startSimulator({ seed: testSeed, faults: 0, distinctKeys: { rsa: 1, ec: 8 } });
  home = await ServiceHome.make(simulator);
  const files = await prepareFiles(join(home.directory, 'files'));
  const authorities: Record<string, unknown> = {
    default_ca_config: { kind: 'local-ca', options: { directory: './ca' } },
  };
  for (const [index, { command, code }] of hostileAnswers.entries()) {
    const words = command.map((word) => word.replace(/^DIR/, files));
    // What has to be answered may take its time on a busy machine; what never ends has to be given up.
    const timeoutSeconds = code === 'ca-unavailable' ? 3 : 60;
    authorities[reference(index)] = {
      kind: 'exec',
      options: { command: words, timeoutSeconds, checkCommand: ['true'] },
    };
  }
  // Every trouble is to be seen in the log, its repetitions too.
  service = await home.start({ authorities, unmatched: 'refuse', log: { level: 'debug' } });
  for (const { body } of hostileMessages) simulator.publish(body);
  for (const { tried, device } of hostileProcesses) {
    const [added] = await simulator.addDevices({ key: 'ec', ...device });
    processIds.set(tried, added?.id ?? '');
  }
  for (const [index, { tried }] of hostileAnswers.entries()) {
    const [added] = await simulator.addDevices({ key: 'ec', caConnection: reference(index) });
    answerIds.set(tried, added?.id ?? '');
  }
  await service.running();
}, 60_000);

afterAll(async () => {
  await home?.[Symbol.asyncDispose]();
  await simulator?.[Symbol.asyncDispose]();
});

/** A log line about a process, of one event. */
function told(event: string, processId: string, what: string) {
  return service.line((line) => line['event'] === event && line['processId'] === processId, what);
}

async function expectTold(
  id: string,
  { tried, code, ends }: Pick<HostileProcess, 'tried' | 'code' | 'ends'>,
): Promise<void> {
  const event = ends === 'refused' ? 'closed' : 'trouble';
  expect(await told(event, id, tried)).toMatchObject({ code });
  if (ends === 'refused') {
    await until(
      () => simulator.process(id)?.failureMessage !== undefined,
      () => `the device is told: ${tried}`,
    );
    const message = simulator.process(id)?.failureMessage ?? '';
    if (code !== 'signing-refused') expect(message).toContain(code);
    expect(message).not.toMatch(/hunter2|\p{Cc}/u);
  } else {
    expect(simulator.process(id)?.failureMessage).toBeUndefined();
  }
}

describe('a hostile message', { timeout: 60_000 }, () => {
  it.each(hostileMessages)(
    '$tried: $happened',
    async ({ tried, body, problem, unknownProcess }) => {
      if (unknownProcess !== undefined) {
        expect(await told('closed', unknownProcess, tried)).toMatchObject({ outcome: 'gone' });
        return;
      }
      const sha256 = createHash('sha256').update(body).digest('hex');
      const line = await service.line((one) => one['sha256'] === sha256, tried);
      expect(line).toMatchObject({ result: 'unreadable', bytes: body.length });
      expect(line['problem']).toMatch(problem ?? /never/);
    },
  );
});

describe('a hostile process', { timeout: 60_000 }, () => {
  it.each(hostileProcesses)('$tried: $happened', (hostile) =>
    expectTold(processIds.get(hostile.tried) ?? '', hostile),
  );
});

describe('a hostile answer of a CA', { timeout: 60_000 }, () => {
  it.each(hostileAnswers)('$tried: $happened', async (hostile) => {
    const id = answerIds.get(hostile.tried) ?? '';
    await expectTold(id, hostile);
    expect(simulator.process(id)?.certificatePem).toBeUndefined();
  });
});

it('after all of it the service lives, serves others, met no bug, and stops in order', async () => {
  const [good] = await simulator.addDevices({ key: 'ec' });
  const [process] = await simulator.settled([good?.id ?? ''], { timeoutMs: 60_000 });
  expect(process?.device).toEqual({ accepted: true });
  expect((await service.fetch('/livez')).status).toBe(200);
  expect((await service.fetch('/readyz')).status).toBe(200);
  expect(await service.metric('certprov_bugs_total')).toBe(0);
  const unreadable = hostileMessages.filter(({ problem }) => problem !== undefined).length;
  expect(await service.metric('certprov_notifications_total', { result: 'unreadable' })).toBe(
    unreadable,
  );
  expect(simulator.messages()).toEqual({ waiting: 0, out: 0 });
  expect(JSON.stringify(service.log)).not.toContain('hunter2');
  const { status, stderr } = await service.kill('SIGTERM');
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
}, 60_000);

it('docs/develop/hostile-input.md has these rows', async () => {
  const path = join(import.meta.dirname, '../../docs/develop/hostile-input.md');
  expect(await readFile(path, 'utf8')).toContain(`\n${hostileTable()}\n`);
});

/** What the commands print. Answers the directory. */
async function prepareFiles(directory: string): Promise<string> {
  await mkdir(directory);
  const ca = await makeCa();
  const another = encodePem('CERTIFICATE', await makeLeaf(ca, { keys: await newKeys() }));
  const nested = Buffer.alloc(40_000);
  for (let at = 0; at < nested.length; at += 2) nested.writeUInt16BE(0x3080, at);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const files = {
    'noise.pem': encodePem('CERTIFICATE', Buffer.from('this is no certificate')),
    'nested.pem': encodePem('CERTIFICATE', nested),
    'cut.pem': another.slice(0, another.length / 2),
    'many.pem': another.repeat(21),
    'key.pem': privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    'another.pem': another,
    'ca.pem': encodePem('CERTIFICATE', ca.der),
  };
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(directory, name), content);
  }
  return directory;
}
