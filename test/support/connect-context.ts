import { resolve } from 'node:path';
import type { ConnectContext } from '../../src/plug-in/certificate-authority.ts';
import { readSecret } from '../../src/plug-in/secret.ts';
import { type Clock, systemClock } from '../../src/time/clock.ts';

/** What main.ts gives an adapter, for a configuration file in `directory`. */
export function connectContext(
  directory: string,
  { clock = systemClock, env = {} }: { clock?: Clock; env?: Record<string, string> } = {},
): ConnectContext {
  return {
    clock,
    resolvePath: (path) => resolve(directory, path),
    readSecret: (reference) => readSecret(reference, env, directory),
  };
}
