import { parseArgs } from 'node:util';
import type { SimulatorOptions } from './outside-world.ts';
import { loopbackHosts } from './simulator.ts';

export const usage = `usage: npm run simulator -- [options]

  --port N              Google's REST API (8460; 0 takes any free port)
  --pubsub-port N       Pub/Sub over gRPC (8461)
  --management-port N   devices, processes and faults as JSON (8462)
  --seed N              fixes ids and fault decisions (drawn and printed when absent)
  --faults 0..1         base rate of passing trouble (0.02)
  --time-scale X        factor on the devices' schedule: 1 is real time (0.01)
  --signing-delay MS    how long a woken device needs to sign (20)
  --hold MS             how long the fault timeout holds a connection (15000)
  --host ADDRESS        a loopback address (127.0.0.1)

At start one line of JSON tells the addresses. It runs until SIGINT or SIGTERM.`;

export class UsageError extends Error {}

/** Undefined: only the usage was asked for. Throws {@link UsageError}. */
export function readOptions(args: readonly string[]): SimulatorOptions | undefined {
  const values = parse(args);
  if (values.help) return undefined;
  const { host = '127.0.0.1' } = values;
  if (!loopbackHosts.includes(host)) {
    throw new UsageError(`--host must be a loopback address: ${loopbackHosts.join(', ')}`);
  }
  const port = (name: 'port' | 'pubsub-port' | 'management-port', otherwise: number): number =>
    number(name, values[name], 0, 65_535, true) ?? otherwise;
  const seed = number('seed', values.seed, 0, 2 ** 32 - 1, true);
  const dayMs = 86_400_000;
  return {
    host,
    restPort: port('port', 8460),
    pubsubPort: port('pubsub-port', 8461),
    managementPort: port('management-port', 8462),
    ...(seed === undefined ? {} : { seed }),
    faults: number('faults', values.faults, 0, 1, false) ?? 0.02,
    timeScale: number('time-scale', values['time-scale'], 1e-6, 1_000, false) ?? 0.01,
    signingDelayMs: number('signing-delay', values['signing-delay'], 0, dayMs, false) ?? 20,
    holdMs: number('hold', values.hold, 0, dayMs, false) ?? 15_000,
  };
}

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const;
  try {
    return parseArgs({
      args: [...args],
      options: {
        port: text,
        'pubsub-port': text,
        'management-port': text,
        seed: text,
        faults: text,
        'time-scale': text,
        'signing-delay': text,
        hold: text,
        host: text,
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function number(
  name: string,
  text: string | undefined,
  least: number,
  most: number,
  whole: boolean,
): number | undefined {
  if (text === undefined) return undefined;
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (value >= least && value <= most && (!whole || Number.isInteger(value))) return value;
  const kind = whole ? 'an integer' : 'a number';
  throw new UsageError(`--${name} must be ${kind} from ${least} to ${most}, not "${text}"`);
}
