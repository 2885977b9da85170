import { parentPort, workerData } from 'node:worker_threads';
import { attempt } from './attempt.ts';
import { openDoor } from './doors.ts';
import { Explorer } from './explorer.ts';
import { minimise } from './minimise.ts';

/*
 * Tries inputs in a thread of its own, so that one that never comes back can be ended from outside. The input
 * that is being tried lies in shared memory: a number that rises with each, its length, and its bytes.
 */

export interface FuzzOrder {
  readonly door: string;
  readonly seed: number;
  /** For how long, from when the door is open. Its own examples are tried in any case. */
  readonly forMs: number;
  readonly shared: SharedArrayBuffer;
}

export interface FuzzReport {
  readonly tried: number;
  readonly accepted: number;
  readonly traces: number;
  readonly findings: readonly { readonly what: string; readonly input: Uint8Array }[];
}

/** After this many findings a door has enough to fix. */
const mostFindings = 5;
/** Inputs that are slow are slow to shorten. In milliseconds. */
const shortenForMs = 30_000;

const order: FuzzOrder = workerData;
const header = new Int32Array(order.shared, 0, 2);
const bytes = new Uint8Array(order.shared, 8);
const door = await openDoor(order.door);
const explorer = new Explorer(door, order.seed);
const findings = new Map<string, Uint8Array>();

/** What went wrong, without what differs from input to input. */
const kindOf = (what: string) => what.split('\n', 2).join('\n').replace(/\d+/g, '_').slice(0, 200);

const until = Date.now() + order.forMs;
while (Date.now() < until || explorer.tried < door.seeds.length) {
  const input = explorer.next();
  bytes.set(input.subarray(0, bytes.length));
  Atomics.store(header, 1, input.length);
  Atomics.add(header, 0, 1);
  const found = await explorer.try(input);
  if (found === undefined || findings.has(kindOf(found.what))) continue;
  const kind = kindOf(found.what);
  const isTheSame = async (candidate: Uint8Array) => {
    Atomics.add(header, 0, 1);
    const outcome = await attempt(door, candidate);
    return outcome.kind === 'finding' && kindOf(outcome.what) === kind;
  };
  findings.set(kind, await minimise(input, isTheSame, shortenForMs));
  if (findings.size >= mostFindings) break;
}
await door.close?.();
const { tried, accepted, traces } = explorer;
const report: FuzzReport = {
  tried,
  accepted,
  traces,
  findings: [...findings].map(([what, input]) => ({ what, input })),
};
parentPort?.postMessage(report);
