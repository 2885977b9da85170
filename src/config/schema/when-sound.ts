import type { z } from 'zod';

/**
 * For a rule that spans several keys of a group: it is tried when these are right, whatever is wrong with the others, so
 * that every problem is told at once.
 */
export function whenSound(...keys: readonly string[]): z.core.$ZodSuperRefineParams {
  return {
    when: ({ issues }) =>
      !issues.some(({ code, path: [key] = [] }) =>
        key === undefined ? code !== 'unrecognized_keys' : keys.includes(String(key)),
      ),
  };
}
