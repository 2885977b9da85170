import type { Config } from '../config/config.ts';
import { ConfigError, formatProblems } from '../config/explain/problem.ts';
import { loadConfig } from '../config/load-config.ts';
import { Events } from '../events/events.ts';
import { StrayErrors } from '../events/stray-errors.ts';
import { AdapterLoadError, type LoadAdapter } from '../plug-in/adapter-loader.ts';
import { createLog, logEvents } from '../telemetry/log.ts';
import { logOutput } from '../telemetry/log-output.ts';
import { printedToLog } from '../telemetry/printed.ts';
import { systemClock } from '../time/clock.ts';
import { scrub, scrubbed } from '../words/scrub.ts';
import { readArguments, UsageError, type Values } from './read-arguments.ts';
import { openService } from './service.ts';
import type { CommandName } from './usage.ts';

/*
 * The command line. Exit status: 0 after a drained stop, 1 for a failure, 2 for bad usage or configuration.
 */

type Run = (values: Values, loadAdapter: LoadAdapter, stray: StrayErrors) => Promise<number>;

const commands: Readonly<Record<CommandName, Run>> = {
  serve: async (values, loadAdapter, stray) => serve(await load(values, loadAdapter), stray),
  'check-config': async (values, loadAdapter) => checkConfig(await load(values, loadAdapter)),
  backup: backUp,
  conformance: conform,
};

/** Runs one command; resolves with the exit status. `loadAdapter` knows the built-in kinds. */
export async function runCommand(
  args: readonly string[],
  loadAdapter: LoadAdapter,
): Promise<number> {
  const tell = (error: unknown) => process.stderr.write(`${described(error)}\n`);
  using stray = new StrayErrors({ now: () => performance.now() }, ({ error }) => tell(error));
  try {
    const task = readArguments(args);
    if (typeof task !== 'string') {
      return await commands[task.command](task.values, loadAdapter, stray);
    }
    print(task);
    return 0;
  } catch (error) {
    if (error instanceof UsageError) process.stderr.write(`${error.message}\n\n${error.usage}`);
    else if (error instanceof ConfigError) process.stderr.write(`${formatProblems(error)}\n`);
    else {
      tell(error);
      return 1;
    }
    return 2;
  }
}

/** An error that nobody foresaw, before there is a log: without secrets. */
function described(error: unknown): string {
  const stack = error instanceof Error ? error.stack : undefined;
  return typeof stack === 'string' ? scrub(stack) : JSON.stringify(scrubbed({ error }));
}

function load({ config = 'config.yaml' }: Values, loadAdapter: LoadAdapter): Promise<Config> {
  return loadConfig(config, { loadAdapter, env: process.env });
}

const print = (text: string) => process.stdout.write(text);

async function conform({ kind, timeout, ...rest }: Values, loadAdapter: LoadAdapter) {
  if (kind === undefined) throw new UsageError('conformance needs --kind.', 'conformance');
  const longest = timeout === undefined ? {} : { longestCaseMs: caseMs(timeout) };
  // Loaded only here: the service does not need it.
  const { CannotRunError, conformance } = await import('../../conformance/command.ts');
  try {
    return await conformance({ kind, ...rest, ...longest }, loadAdapter, print);
  } catch (error) {
    if (!(error instanceof CannotRunError || error instanceof AdapterLoadError)) throw error;
    const fix = error instanceof AdapterLoadError ? ` Fix: ${error.fix}.` : '';
    process.stderr.write(`${error.message}${fix}\n`);
    return 2;
  }
}

/** Milliseconds, of seconds as they are written. */
function caseMs(seconds: string): number {
  const number = /^\d{1,5}(\.\d+)?$/.test(seconds) ? Number(seconds) : Number.NaN;
  if (number > 0 && number <= 86_400) return number * 1_000;
  const problem = `--timeout takes a number of seconds up to 86400, not "${seconds}".`;
  throw new UsageError(problem, 'conformance');
}

async function backUp({ file = '', ...values }: Values, loadAdapter: LoadAdapter) {
  // Loaded only here: the service itself needs only a part of it.
  const { backupCommand } = await import('../backup/command.ts');
  const stop = stopOnSignal();
  return backupCommand(await load(values, loadAdapter), file, print, stop);
}

function checkConfig({ file, authorities, profiles }: Config): number {
  const counted = `${authorities.size} authorities, ${profiles.size} profiles`;
  print(`${file} is in order: ${counted}.\n`);
  return 0;
}

/** How long the last lines of the log may take to be read. */
const longestFarewellMs = 1_000;

async function serve(config: Config, stray: StrayErrors): Promise<number> {
  const output = logOutput();
  const log = createLog(config.log.level, output);
  using _printed = printedToLog(log);
  const events = new Events();
  logEvents(events, log);
  stray.tellTo((bug) => events.emit('bug', bug));
  const stop = stopOnSignal();
  try {
    await using service = await openService(config, {
      events,
      clock: systemClock,
      random: Math.random,
      signal: stop,
    });
    await service.run(stop);
    return 0;
  } catch (error) {
    if (stop.aborted && error === stop.reason) return 0;
    log.fatal({ err: error }, error instanceof Error ? error.message : 'The service failed.');
    return 1;
  } finally {
    await output.flushed(longestFarewellMs);
  }
}

/** Aborted by the first SIGTERM or SIGINT; the second one ends the process at once. */
function stopOnSignal(): AbortSignal {
  const controller = new AbortController();
  const stop = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) process.exit(1);
    controller.abort(new Error(`Stopped by ${name}.`));
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  return controller.signal;
}
