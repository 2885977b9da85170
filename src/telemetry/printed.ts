import { formatWithOptions } from 'node:util';
import { workingFor } from '../events/stray-errors.ts';
import { scrubbed } from '../words/scrub.ts';
import type { Log } from './log.ts';

/*
 * What a plug-in or a library prints by `console` would appear between the log's lines, neither as JSON nor without
 * secrets. While this is in use, it becomes a line of the log.
 */

const methods = ['log', 'info', 'debug', 'warn', 'error', 'trace', 'dir'] as const;

/** Until it is disposed of. */
export function printedToLog(log: Log): Disposable {
  const kept = methods.map((name) => [name, console[name]] as const);
  const print = (...values: readonly unknown[]) => {
    const authority = workingFor();
    const whose = authority === undefined ? {} : { authority };
    log.warn({ event: 'printed', ...whose }, textOf(values));
  };
  for (const name of methods) console[name] = print;
  return {
    [Symbol.dispose]() {
      for (const [name, method] of kept) console[name] = method;
    },
  };
}

function textOf(values: readonly unknown[]): string {
  const options = { breakLength: Number.POSITIVE_INFINITY, maxStringLength: 1_000, depth: 4 };
  // Fields with a secret's name are hidden, and nothing is left that has its own way of being shown. The log scrubs the whole.
  const shown = values.map((value) =>
    typeof value === 'object' ? scrubbed({ value })['value'] : value,
  );
  return formatWithOptions(options, ...shown);
}
