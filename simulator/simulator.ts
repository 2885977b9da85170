import { randomInt } from 'node:crypto';
import { setTimeout as sleepFor } from 'node:timers/promises';
import type { Clock } from '../src/time/clock.ts';
import { Agenda } from './agenda.ts';
import type { DeviceSpecInput } from './device-spec.ts';
import { Devices } from './devices.ts';
import { type FaultChanges, Faults } from './faults.ts';
import { Google } from './google.ts';
import { KeyPool } from './key-pool.ts';
import { ManagementServer } from './management-server.ts';
import type { Simulator, SimulatorOptions } from './outside-world.ts';
import { Processes } from './processes.ts';
import { PubsubBroker } from './pubsub-broker.ts';
import { PubsubServer } from './pubsub-server.ts';
import { RestServer } from './rest-server.ts';

/** Like the system's clock, but a simulator that waits keeps no process alive. */
const idleClock: Clock = {
  now: () => Date.now(),
  async sleep(forMs, signal) {
    const mostMs = 2 ** 31 - 1;
    for (let leftMs = Math.max(0, forMs); ; leftMs -= mostMs) {
      const pieceMs = Math.min(leftMs, mostMs);
      await sleepFor(pieceMs, undefined, {
        ref: false,
        ...(signal === undefined ? {} : { signal }),
      });
      if (leftMs <= mostMs) return;
    }
  },
};

/** The only addresses that the simulator binds. */
export const loopbackHosts: readonly string[] = ['127.0.0.1', '::1', 'localhost'];

/** Starts Google, Pub/Sub and the management port on loopback. Rejects when a port cannot be bound. */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const host = options.host ?? '127.0.0.1';
  if (!loopbackHosts.includes(host)) {
    throw new Error(
      `the simulator is a toy and binds only ${loopbackHosts.join(', ')}; not ${host}`,
    );
  }
  const seed = options.seed ?? randomInt(2 ** 32);
  const onError = options.onError ?? ((error: unknown) => console.error('simulator:', error));
  const clock = options.clock ?? idleClock;
  const faults = startingFaults(seed, options);
  const names = fullNames(options);
  await using stack = new AsyncDisposableStack();
  const agenda = stack.use(new Agenda(clock, onError));
  const now = (): number => clock.now();
  const broker = new PubsubBroker({ agenda, faults, now });
  broker.createTopic(names.fullTopic);
  const subscription = broker.createSubscription(names.fullSubscription, names.fullTopic, 10);
  const processes = new Processes({
    seed,
    faults,
    clock,
    keys: new KeyPool({ rsa: 64, ec: 512, ...options.distinctKeys }),
    publish: (data) => broker.publish(names.fullTopic, [{ data, attributes: {} }]),
  });
  const devices = new Devices({
    agenda,
    faults,
    now,
    timeScale: options.timeScale ?? 0.01,
    signingDelayMs: options.signingDelayMs ?? 20,
    onSettled: (process) => processes.settle(process),
    onError,
  });
  const google = new Google({ seed, faults, devices, now });
  const rest = stack.use(
    new RestServer({
      google,
      faults,
      agenda,
      holdMs: options.holdMs ?? 15_000,
      lateMs: options.lateMs ?? 500,
      retryAfterSeconds: options.retryAfterSeconds ?? 1,
      find: (id) => processes.find(id),
      onError,
    }),
  );
  const pubsub = stack.use(new PubsubServer(broker, faults, (ms, act) => agenda.after(ms, act)));
  const inProcess = {
    seed,
    ...names.short,
    ...processMethods(processes, devices),
    faults: () => faults.values(),
    setFaults: (changes: FaultChanges | Readonly<Record<string, unknown>>, forMs?: number) => {
      setFor(faults, changes, forMs, agenda);
      if (faults.choice('pubsubAccess') !== 'granted') pubsub.breakStreams();
    },
    publish: (data: Uint8Array) => {
      broker.publish(names.fullTopic, [{ data: Buffer.from(data), attributes: {} }]);
    },
    breakStreams: () => pubsub.breakStreams(),
    messages: () => subscription.counts(),
  };
  const management = stack.use(new ManagementServer(inProcess, onError));
  const authority = host === '::1' ? '[::1]' : host;
  const restPort = await rest.listen(host, options.restPort ?? 0);
  const pubsubPort = await pubsub.listen(authority, options.pubsubPort ?? 0);
  const managementPort = await management.listen(host, options.managementPort ?? 0);
  const running = stack.move();
  return {
    ...inProcess,
    restUrl: `http://${authority}:${restPort}`,
    pubsubEndpoint: `${authority}:${pubsubPort}`,
    managementUrl: `http://${authority}:${managementPort}`,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

function setFor(
  faults: Faults,
  changes: FaultChanges | Readonly<Record<string, unknown>>,
  forMs: number | undefined,
  agenda: Agenda,
): void {
  const before = Object.entries(faults.values()).filter(([name]) => Object.hasOwn(changes, name));
  faults.set(changes);
  if (forMs !== undefined) agenda.after(forMs, () => faults.set(Object.fromEntries(before)));
}

function processMethods(processes: Processes, devices: Devices) {
  return {
    addDevices: (spec: DeviceSpecInput = {}) => processes.addDevices(spec),
    processes: () => processes.views(),
    process: (id: string) => processes.view(id),
    keyOf: (id: string) => processes.keyOf(id),
    summary: () => processes.summary(),
    forget: (id: string) => {
      const process = processes.find(id);
      if (process !== undefined) devices.forget(process);
      return process !== undefined;
    },
    republish: () => processes.republish(),
    settled: processes.settled.bind(processes),
  };
}

function startingFaults(seed: number, options: SimulatorOptions): Faults {
  const faults = new Faults(seed, 0);
  faults.set({ rate: options.faults ?? 0.02 });
  const { pushProbability } = options;
  if (pushProbability !== undefined) faults.set({ missedPush: 1 - pushProbability });
  faults.set(options.switches ?? {});
  return faults;
}

function fullNames(options: SimulatorOptions) {
  const project = options.project ?? 'simulator';
  const topic = options.topic ?? 'certprov';
  const subscription = options.subscription ?? 'certprov-worker';
  return {
    short: { project, topic, subscription },
    fullTopic: `projects/${project}/topics/${topic}`,
    fullSubscription: `projects/${project}/subscriptions/${subscription}`,
  };
}
