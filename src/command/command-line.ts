import { parseArgs } from 'node:util';
import type { Config } from '../config/config.ts';
import { ConfigError, formatProblems } from '../config/explain/problem.ts';
import { loadConfig } from '../config/load-config.ts';
import { Events } from '../events/events.ts';
import { StrayErrors } from '../events/stray-errors.ts';
import { ownVersion } from '../own-version.ts';
import { AdapterLoadError, type LoadAdapter } from '../plug-in/adapter-loader.ts';
import { createLog, logEvents } from '../telemetry/log.ts';
import { logOutput } from '../telemetry/log-output.ts';
import { printedToLog } from '../telemetry/printed.ts';
import { systemClock } from '../time/clock.ts';
import { messageOf } from '../words/message-of.ts';
import { nearestName } from '../words/nearest-name.ts';
import { scrub, scrubbed } from '../words/scrub.ts';
import { openService } from './service.ts';
import { argumentOf, type CommandName, commandTexts, usage, usageOf } from './usage.ts';

/*
 * The command line. Exit status: 0 after a drained stop, 1 for a failure, 2 for bad usage or configuration.
 */

type Run = (values: Values, loadAdapter: LoadAdapter, stray: StrayErrors) => Promise<number>;

const commands: Readonly<Record<CommandName, Run>> = {
  serve: withConfig(serve),
  'check-config': withConfig(checkConfig),
  backup: backUp,
  conformance: conform,
};

const text = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;
const optionTypes = {
  config: text,
  kind: text,
  options: text,
  roots: text,
  harness: text,
  subject: text,
  'alt-names': text,
  only: text,
  timeout: text,
} as const;

/** `file` is the argument of a command that takes one. */
type Values = Readonly<Partial<Record<keyof typeof optionTypes | 'file', string>>>;

/** Bad usage. Where the command is known, its own options are shown. */
class UsageError extends Error {
  readonly usage: string;

  constructor(message: string, command?: CommandName) {
    super(message);
    this.usage = command === undefined ? usage : usageOf(command);
  }
}

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
    process.stdout.write(task);
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

/** A command, or a text to be shown. */
function readArguments(
  args: readonly string[],
): string | { readonly command: CommandName; readonly values: Values } {
  const named = args.find(isCommand);
  const { values: given, positionals } = parse(args, named);
  const { help, version, ...values } = given;
  if (help === true) return named === undefined ? usage : usageOf(named);
  if (version === true) return `certprov ${ownVersion}, Node ${process.version}\n`;
  const [command, ...further] = positionals;
  if (command === undefined) throw new UsageError('A command is missing.');
  if (!isCommand(command)) throw new UsageError(unknownCommand(command));
  const argument = argumentOf(command);
  const [file, ...more] = argument === undefined ? [undefined, ...further] : further;
  if (argument !== undefined && file === undefined) {
    throw new UsageError(`${command} needs a ${argument}.`, command);
  }
  if (more.length > 0) {
    throw new UsageError(`"${more.join(' ')}" is one argument too many.`, command);
  }
  const known = Object.keys(commandTexts[command].options);
  const strange = Object.keys(values).find((name) => !known.includes(name));
  if (strange !== undefined)
    throw new UsageError(`${command} has no option --${strange}.`, command);
  return { command, values: { ...values, ...(file === undefined ? {} : { file }) } };
}

function parse(args: readonly string[], command: CommandName | undefined) {
  const options = { ...optionTypes, help: { ...flag, short: 'h' }, version: flag } as const;
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    const message = messageOf(error);
    // Node goes on to explain positional arguments that look like options: nobody meant one.
    throw new UsageError(message.replace(/ To specify a positional .*$/s, ''), command);
  }
}

function unknownCommand(name: string): string {
  const near = nearestName(name, Object.keys(commands));
  return `There is no command "${name}".${near === undefined ? '' : ` Did you mean ${near}?`}`;
}

function isCommand(name: string): name is CommandName {
  return Object.hasOwn(commands, name);
}

function withConfig(run: (config: Config, stray: StrayErrors) => Promise<number>) {
  return async (
    { config = 'config.yaml' }: Values,
    loadAdapter: LoadAdapter,
    stray: StrayErrors,
  ): Promise<number> => run(await loadConfig(config, { loadAdapter, env: process.env }), stray);
}

async function conform({ kind, timeout, ...rest }: Values, loadAdapter: LoadAdapter) {
  if (kind === undefined) throw new UsageError('conformance needs --kind.', 'conformance');
  const longest = timeout === undefined ? {} : { longestCaseMs: caseMs(timeout) };
  // Loaded only here: the service has no use for it.
  const { CannotRunError, conformance } = await import('../../conformance/command.ts');
  const print = (text: string) => process.stdout.write(text);
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

async function backUp(
  { file = '', ...values }: Values,
  loadAdapter: LoadAdapter,
  stray: StrayErrors,
) {
  // Loaded only here: the service itself needs but a part of it.
  const { backupCommand } = await import('../backup/command.ts');
  const print = (text: string) => process.stdout.write(text);
  const stop = stopOnSignal();
  return withConfig((config) => backupCommand(config, file, print, stop))(
    values,
    loadAdapter,
    stray,
  );
}

async function checkConfig(config: Config): Promise<number> {
  const { authorities, profiles } = config;
  const counted = `${authorities.size} authorities, ${profiles.size} profiles`;
  process.stdout.write(`${config.file} is in order: ${counted}.\n`);
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
