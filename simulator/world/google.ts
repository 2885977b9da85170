import type { Testimony } from '../../src/watch/clock-watch.ts';
import { Agenda } from '../agenda.ts';
import { type DeviceSpec, type DeviceSpecInput, parseDeviceSpec } from '../device-spec.ts';
import { Devices } from '../devices.ts';
import { type FaultChanges, Faults, type Method } from '../faults.ts';
import { type Answer, failed, Google } from '../google.ts';
import { newProcess, type SimulatedProcess } from '../simulated-process.ts';
import { keyOf, signing } from './device-keys.ts';
import type { Scheduler } from './scheduler.ts';

/*
 * Google and the devices are the simulator's own, without its sockets. What is not real stands in device-keys.ts.
 */

const specs = new Map<string, DeviceSpec>();

function specOf(input: DeviceSpecInput): DeviceSpec {
  const name = JSON.stringify(input);
  const known = specs.get(name);
  if (known !== undefined) return known;
  const spec = parseDeviceSpec(input);
  specs.set(name, spec);
  return spec;
}

/** Google and the devices: one for all instances of a world. */
export class WorldGoogle {
  readonly faults: Faults;
  readonly devices: Devices;
  readonly processes = new Map<string, SimulatedProcess>();
  /** While it gives an answer, Google gives that one and does nothing. */
  outage: (method: Method) => number | undefined = () => undefined;
  /** The status of a process that Google does not know, and of one under a wrong customer. */
  unknown: 404 | 403 = 404;
  /** While it gives an answer, somebody between us and Google gives that one, and Google sees nothing. */
  stranger: (method: Method) => Answer | undefined = () => undefined;
  /** Called before a certificate is uploaded, with its PEM. */
  onUpload: (processId: string, pem: string) => void = () => undefined;
  readonly #scheduler: Scheduler;
  readonly #google: Google;
  readonly errors: unknown[] = [];

  constructor(scheduler: Scheduler, faults: FaultChanges) {
    this.#scheduler = scheduler;
    const now = () => scheduler.now();
    this.faults = new Faults(1, 0);
    this.faults.set(faults);
    const onError = (error: unknown) => void this.errors.push(error);
    const agenda = new Agenda(scheduler.clockOf(), onError);
    this.devices = new Devices({
      agenda,
      faults: this.faults,
      timeScale: 1,
      signingDelayMs: 300,
      now,
      signing,
      onSettled: () => undefined,
      onError,
    });
    this.#google = new Google({ seed: 1, faults: this.faults, devices: this.devices, now });
  }

  add(input: DeviceSpecInput): SimulatedProcess {
    const spec = specOf(input);
    const index = this.processes.size;
    const nowMs = this.#scheduler.now();
    const process = newProcess(1, { index, spec, key: keyOf(spec.key, index), nowMs });
    this.processes.set(process.id, process);
    return process;
  }

  /** One call as it arrives at Google. */
  carryOut(
    method: Method,
    processId: string,
    operation: string | undefined,
    body: Readonly<Record<string, unknown>>,
  ): Answer {
    const process = this.processes.get(processId);
    const strange = this.stranger(method);
    if (strange !== undefined) return strange;
    const outage = this.outage(method);
    if (outage !== undefined) return failed(outage, 'An outage.');
    if (process === undefined) return failed(this.unknown, 'No such process.');
    process.calls[method] += 1;
    return this.#google.carryOut(method, process, operation, body);
  }

  /** The Date of an answer that is made now. */
  dateOf(): (testify: Testimony) => void {
    const now = this.#scheduler.now();
    return (testify) => testify(now - (now % 1_000), 1_000);
  }
}
