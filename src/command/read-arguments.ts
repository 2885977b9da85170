import { parseArgs } from 'node:util';
import { ownVersion } from '../own-version.ts';
import { messageOf } from '../words/message-of.ts';
import { nearestName } from '../words/nearest-name.ts';
import {
  argumentOf,
  type CommandName,
  commandTexts,
  type OptionName,
  usage,
  usageOf,
} from './usage.ts';

const text = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;

/** Those of every command: that one does not have it is said in words of our own. */
const options = {
  ...(Object.fromEntries(
    Object.values(commandTexts).flatMap((command) =>
      Object.keys(command.options).map((name) => [name, text]),
    ),
  ) as Readonly<Record<OptionName, typeof text>>),
  help: { ...flag, short: 'h' },
  version: flag,
} as const;

/** `file` is the argument of a command that takes one. */
export type Values = Readonly<Partial<Record<OptionName | 'file', string>>>;

/** Bad usage. Where the command is known, its own options are shown. */
export class UsageError extends Error {
  readonly usage: string;

  constructor(message: string, command?: CommandName) {
    super(message);
    this.usage = command === undefined ? usage : usageOf(command);
  }
}

/** A command, or a text to be shown. */
export function readArguments(
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
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    // Node goes on to explain positional arguments that look like options: nobody meant one.
    throw new UsageError(messageOf(error).replace(/ To specify a positional .*$/s, ''), command);
  }
}

function unknownCommand(name: string): string {
  const near = nearestName(name, Object.keys(commandTexts));
  return `There is no command "${name}".${near === undefined ? '' : ` Did you mean ${near}?`}`;
}

function isCommand(name: string): name is CommandName {
  return Object.hasOwn(commandTexts, name);
}
