import './heap.ts';
import { parseArgs } from 'node:util';
import { adapters } from '../adapters/index.ts';
import { systemClock } from './clock.ts';
import { type Config, ConfigError, formatProblems, loadConfig } from './config.ts';
import { adapterLoader } from './issue/adapter-loader.ts';
import { openService } from './service.ts';
import { Events } from './telemetry/events.ts';
import { createLog, logEvents } from './telemetry/log.ts';

/*
 * The command line. Exit status: 0 after a drained stop, 1 for a failure, 2 for bad usage or configuration.
 */

const usage = `Usage: node src/main.ts <command> [--config FILE]

Commands
  serve          take notifications and provision certificates until SIGTERM or SIGINT
  check-config   report every problem of the configuration, without using the network

Options
  --config FILE  the configuration (default: config.yaml)
  --help         this text
`;

const commands = { serve, 'check-config': checkConfig } as const;

type Command = keyof typeof commands;

class UsageError extends Error {}

async function main(args: readonly string[]): Promise<number> {
  try {
    const { command, configPath } = readArguments(args);
    if (command === undefined) {
      process.stdout.write(usage);
      return 0;
    }
    const loadAdapter = adapterLoader(adapters);
    const config = await loadConfig(configPath, { loadAdapter, env: process.env });
    return await commands[command](config);
  } catch (error) {
    if (error instanceof UsageError) process.stderr.write(`${error.message}\n\n${usage}`);
    else if (error instanceof ConfigError) process.stderr.write(`${formatProblems(error)}\n`);
    else throw error;
    return 2;
  }
}

function readArguments(args: readonly string[]): { command?: Command; configPath: string } {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(args);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
  const { values, positionals } = parsed;
  const configPath = values.config ?? 'config.yaml';
  if (values.help === true) return { configPath };
  const [command, ...more] = positionals;
  if (command === undefined) throw new UsageError('A command is missing.');
  if (!isCommand(command)) throw new UsageError(`There is no command "${command}".`);
  if (more.length > 0) throw new UsageError(`"${more.join(' ')}" is one argument too many.`);
  return { command, configPath };
}

function parse(args: readonly string[]) {
  const options = { config: { type: 'string' }, help: { type: 'boolean' } } as const;
  return parseArgs({ args: [...args], options, allowPositionals: true });
}

function isCommand(name: string): name is Command {
  return Object.hasOwn(commands, name);
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

// Whatever still holds the event loop open after a drained stop has nothing left to do.
process.exit(await main(process.argv.slice(2)));
