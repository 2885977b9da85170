import { parseArgs } from 'node:util';
import { systemClock } from './clock.ts';
import { type Config, ConfigError, formatProblems, loadConfig } from './config.ts';
import { AdapterLoadError, type LoadAdapter } from './issue/adapter-loader.ts';
import { openService } from './service.ts';
import { Events } from './telemetry/events.ts';
import { createLog, logEvents } from './telemetry/log.ts';

/*
 * The command line. Exit status: 0 after a drained stop, 1 for a failure, 2 for bad usage or configuration.
 */

/** As it was started: from the sources, or as the package's command. */
const program = import.meta.filename.endsWith('.ts') ? 'node src/main.ts' : 'certprov';

const usage = `Usage: ${program} <command> [options]

Commands
  serve           take notifications and provision certificates until SIGTERM or SIGINT
  check-config    report every problem of the configuration, without using the network
  conformance     run the adapters' contract over one kind of CA; orders real certificates from it

Options of serve and check-config
  --config FILE   the configuration (default: config.yaml)

Options of conformance
  --kind KIND     a built-in kind, a path (./my-ca.ts), or an installed package
  --options FILE  YAML with the options of that kind; secrets and paths start at this file
  --roots FILE    PEM with the CA's root certificates, to which issued ones must chain
  --harness FILE  a module that sets up a CA and makes it misbehave (docs/adapters.md)

  --help          this text
`;

/** A command with the options that belong to it. */
const commands = {
  serve: { run: withConfig(serve), options: ['config'] },
  'check-config': { run: withConfig(checkConfig), options: ['config'] },
  conformance: { run: conform, options: ['kind', 'options', 'roots', 'harness'] },
} as const;

type Command = keyof typeof commands;
type Values = Readonly<
  Partial<Record<'config' | 'kind' | 'options' | 'roots' | 'harness', string>>
>;

class UsageError extends Error {}

/** Runs one command; resolves with the exit status. `loadAdapter` knows the built-in kinds. */
export async function runCommand(
  args: readonly string[],
  loadAdapter: LoadAdapter,
): Promise<number> {
  try {
    const { command, values } = readArguments(args);
    if (command !== undefined) return await commands[command].run(values, loadAdapter);
    process.stdout.write(usage);
    return 0;
  } catch (error) {
    if (error instanceof UsageError) process.stderr.write(`${error.message}\n\n${usage}`);
    else if (error instanceof ConfigError) process.stderr.write(`${formatProblems(error)}\n`);
    else throw error;
    return 2;
  }
}

function readArguments(args: readonly string[]): { command?: Command; values: Values } {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(args);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
  const { help, ...values } = parsed.values;
  if (help === true) return { values };
  const [command, ...more] = parsed.positionals;
  if (command === undefined) throw new UsageError('A command is missing.');
  if (!isCommand(command)) throw new UsageError(`There is no command "${command}".`);
  if (more.length > 0) throw new UsageError(`"${more.join(' ')}" is one argument too many.`);
  const known: readonly string[] = commands[command].options;
  const strange = Object.keys(values).find((name) => !known.includes(name));
  if (strange !== undefined) throw new UsageError(`${command} has no option --${strange}.`);
  return { command, values };
}

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const;
  const options = { config: text, kind: text, options: text, roots: text, harness: text } as const;
  const help = { type: 'boolean' } as const;
  return parseArgs({ args: [...args], options: { ...options, help }, allowPositionals: true });
}

function isCommand(name: string): name is Command {
  return Object.hasOwn(commands, name);
}

function withConfig(run: (config: Config) => Promise<number>) {
  return async ({ config = 'config.yaml' }: Values, loadAdapter: LoadAdapter): Promise<number> =>
    run(await loadConfig(config, { loadAdapter, env: process.env }));
}

async function conform({ kind, ...rest }: Values, loadAdapter: LoadAdapter): Promise<number> {
  if (kind === undefined) throw new UsageError('conformance needs --kind.');
  // Loaded only here: the service has no use for it.
  const { CannotRunError, conformance } = await import('./conformance/command.ts');
  const print = (text: string) => process.stdout.write(text);
  try {
    return await conformance({ kind, ...rest }, loadAdapter, print);
  } catch (error) {
    if (!(error instanceof CannotRunError || error instanceof AdapterLoadError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 2;
  }
}

async function checkConfig(config: Config): Promise<number> {
  const { authorities, profiles } = config;
  const counted = `${authorities.size} authorities, ${profiles.size} profiles`;
  process.stdout.write(`${config.file} is in order: ${counted}.\n`);
  return 0;
}

async function serve(config: Config): Promise<number> {
  const log = createLog(config.log.level);
  const events = new Events();
  logEvents(events, log);
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
