import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { chanceOf } from '../../simulator/chance.ts';
import type { Simulator } from '../../simulator/outside-world.ts';
import { startSimulator } from '../../simulator/simulator.ts';
import { testSeed } from '../support/seed.ts';
import { ServiceHome, type ServiceProcess, until } from '../support/service-process.ts';

/*
 * The whole service, as a process of its own, against simulated Google, Pub/Sub and devices.
 */

const outside = { seed: testSeed, faults: 0, distinctKeys: { rsa: 2, ec: 8 } } as const;

/** Each process has an accepted certificate, and its device was asked to sign exactly once. */
function expectDelivered(simulator: Simulator, count: number): void {
  const processes = simulator.processes();
  expect(processes).toHaveLength(count);
  for (const { state, device, carriedOut, failureMessage } of processes) {
    expect({ state, device, failureMessage }).toEqual({
      state: 'delivered',
      device: { accepted: true },
      failureMessage: undefined,
    });
    expect(carriedOut.signData).toBe(1);
    expect(carriedOut.uploadCertificate).toBe(1);
    expect(carriedOut.setFailure).toBe(0);
  }
}

async function settled(simulator: Simulator): Promise<void> {
  const ids = simulator.processes().map(({ id }) => id);
  await simulator.settled(ids, { timeoutMs: 60_000 });
}

async function endedInOrder(service: ServiceProcess): Promise<void> {
  const { status, stderr } = await service.kill('SIGTERM');
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(service.log.filter((line) => line['event'] === 'bug')).toEqual([]);
}

/** Of another instance that runs. */
async function refusesTheJournal(home: ServiceHome): Promise<void> {
  const second = await home.start({ instance: 'second' });
  expect((await second.ended()).status).toBe(1);
  const fatal = second.log.find((line) => line['level'] === 'fatal');
  expect(fatal?.msg).toMatch(
    /journal\.db cannot be opened: another process has it open\. .*stop the other one/,
  );
}

describe.concurrent('node src/main.ts serve', { timeout: 90_000 }, () => {
  it('delivers RSA and EC, device and user, generic and SCEP, tells how it is, and lets no other use its journal', async () => {
    await using simulator = await startSimulator({ ...outside, faults: 0.02, holdMs: 500 });
    await using home = await ServiceHome.make(simulator);
    const service = await home.start();
    for (const key of ['rsa', 'ec'] as const) {
      for (const subject of ['device', 'user'] as const) {
        for (const profile of ['generic', 'scep'] as const) {
          await simulator.addDevices({ key, subject, profile });
        }
      }
    }
    await settled(simulator);
    expectDelivered(simulator, 8);
    await verifiedByOpenssl(simulator, home.directory);

    const livez = await service.fetch('/livez');
    expect({ status: livez.status, ok: JSON.parse(livez.text).ok }).toEqual({
      status: 200,
      ok: true,
    });
    const readyz = await service.fetch('/readyz');
    expect(readyz.status).toBe(200);
    expect(JSON.parse(readyz.text)).toEqual({
      ready: true,
      state: 'running',
      journal: { ready: true },
      inbox: { ready: true },
      clock: { ready: true },
      google: { ready: true },
      authorities: { default_ca_config: { ready: true } },
    });
    expect((await service.fetch('/readyz/default_ca_config')).status).toBe(200);
    await until(
      async () =>
        (await service.metric('certprov_processes_total', { outcome: 'delivered' })) === 8,
      () => 'all eight are counted',
    );
    const metrics = await service.fetch('/metrics');
    expect({ status: metrics.status, type: metrics.type }).toEqual({
      status: 200,
      type: expect.stringMatching(/^text\/plain; version=0\.0\.4/),
    });
    for (const [name, ...labels] of promisedMetrics) {
      const [sample = ''] = metrics.text.split('\n').filter((line) => line.startsWith(`${name}{`));
      for (const label of labels) expect(sample, name).toContain(`${label}="`);
    }
    await refusesTheJournal(home);
    await endedInOrder(service);
  });

  it('drains 100 open processes on SIGTERM, and a restart delivers them all', async () => {
    await using simulator = await startSimulator(outside);
    await using home = await ServiceHome.make(simulator);
    // Nobody waits so long: what is left of the drain time when nothing is under way is not waited for.
    const limits = { drainSeconds: 600 };
    const service = await home.start({ limits });
    await service.running();
    await simulator.addDevices({ count: 100, key: 'ec', signAfterMs: 2_500 });
    // Some were asked for their signature, others are on the way or still in the queue.
    await until(
      () => simulator.summary().signing >= 60,
      () => JSON.stringify(simulator.summary()),
    );
    await endedInOrder(service);
    expect(simulator.summary().delivered).toBeLessThan(100);

    const again = await home.start({ limits });
    await settled(simulator);
    expectDelivered(simulator, 100);
    await endedInOrder(again);
  });

  it('is killed again and again, and ends as if nothing had happened', async () => {
    await using simulator = await startSimulator(outside);
    await using home = await ServiceHome.make(simulator);
    const devices = 12;
    await simulator.addDevices({ count: devices, key: 'ec' });
    const callsSoFar = () =>
      simulator
        .processes()
        .flatMap(({ calls }) => Object.values(calls))
        .reduce((sum, calls) => sum + calls, 0);
    let service = await home.start();
    for (const round of [0, 1]) {
      // A process costs five calls. The moment is a count of calls, so that a slow machine gets it too.
      const after = callsSoFar() + Math.floor(chanceOf(testSeed, round, 0, 0) * devices * 2.5);
      await until(
        () => callsSoFar() >= after,
        () => `call ${after} (seed ${testSeed})`,
      );
      expect((await service.kill('SIGKILL')).signal).toBe('SIGKILL');
      service = await home.start();
    }
    await settled(simulator);
    expectDelivered(simulator, devices);
    const certificates = simulator.processes().map(({ certificatePem }) => certificatePem);
    expect(new Set(certificates).size).toBe(devices);
    await endedInOrder(service);
  });

  it('ends at once on a second signal', async () => {
    await using simulator = await startSimulator(outside);
    await using home = await ServiceHome.make(simulator);
    const slow = { kind: 'exec', options: { command: ['sleep', '600'], timeoutSeconds: 600 } };
    const service = await home.start({
      authorities: { default_ca_config: slow },
      limits: { drainSeconds: 600 },
      log: { level: 'debug' },
    });
    await simulator.addDevices({ key: 'ec' });
    await service.line((line) => line['room'] === 'possession', 'the order is under way');
    service.signal('SIGTERM');
    await service.line((line) => line['state'] === 'draining', 'it drains');
    expect(service.hasEnded).toBe(false);
    service.signal('SIGINT');
    expect(await service.ended()).toMatchObject({ status: 1, signal: null });
  });
});

/** Names and labels as they are promised to users. */
const promisedMetrics = [
  ['certprov_notifications_total', 'result'],
  ['certprov_processes_total', 'authority', 'outcome', 'code'],
  ['certprov_open_processes', 'stage'],
  ['certprov_stage_seconds_bucket', 'stage'],
  ['certprov_google_requests_total', 'method', 'status'],
  ['certprov_ca_requests_total', 'authority', 'call', 'result'],
  ['certprov_ca_request_seconds_bucket', 'authority', 'call'],
  ['certprov_authority_up', 'authority'],
] as const;

/** What the devices hold chains to the CA's root, by another implementation. */
async function verifiedByOpenssl(simulator: Simulator, home: string): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'certprov-openssl-'));
  try {
    const files: string[] = [];
    for (const { id, certificatePem = '' } of simulator.processes()) {
      const file = join(directory, `${id}.pem`);
      await writeFile(file, certificatePem);
      files.push(file);
    }
    const ca = ['-CAfile', join(home, 'ca/root.pem'), '-untrusted', join(home, 'ca/issuing.pem')];
    const said = execFileSync('openssl', ['verify', ...ca, ...files], { encoding: 'utf8' });
    expect(said.trim().split('\n')).toEqual(files.map((file) => `${file}: OK`));
  } finally {
    await rm(directory, { recursive: true });
  }
}
