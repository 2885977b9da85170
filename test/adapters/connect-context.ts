import { resolve } from 'node:path';
import { type Clock, systemClock } from '../../src/clock.ts';
import type { ConnectContext } from '../../src/issue/certificate-authority.ts';
import { readSecret } from '../../src/issue/secret.ts';

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
