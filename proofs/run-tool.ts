/** What is wrong with the arguments, for people. */
export class UsageError extends Error {}

/**
 * Runs a tool. Its exit status is what `main` answers (0: all is well, 1: what it looks for was found); 2 for
 * arguments that are not understood, which are reported with the usage; 1 for an error.
 */
export async function runTool(
  usage: string,
  main: (args: readonly string[]) => Promise<number>,
): Promise<void> {
  const args = process.argv.slice(2);
  if (args.includes('--help')) {
    console.log(usage);
    return;
  }
  try {
    process.exitCode = await main(args);
  } catch (error) {
    const isUsage = error instanceof UsageError || isOfParseArgs(error);
    console.error(isUsage ? `${error.message}\n\n${usage}` : error);
    process.exitCode = isUsage ? 2 : 1;
  }
}

/** util.parseArgs gives its errors codes of this form. */
function isOfParseArgs(error: unknown): error is TypeError {
  return error instanceof TypeError && 'code' in error && /^ERR_PARSE_ARGS_/.test(`${error.code}`);
}

/** @throws {UsageError} unless the text is a whole number within the bounds. */
export function wholeNumber(name: string, text: string, least: number, most: number): number {
  const number = Number(text);
  const isOne = /^\d{1,15}$/.test(text) && number >= least && number <= most;
  if (isOne) return number;
  throw new UsageError(`${name} takes a whole number from ${least} to ${most}, not “${text}”.`);
}

/** @throws {UsageError} unless the text is one of the choices. */
export function oneOf<Choice extends string>(
  name: string,
  text: string,
  choices: readonly Choice[],
): Choice {
  const choice = choices.find((each) => each === text);
  if (choice !== undefined) return choice;
  throw new UsageError(`${name} is one of: ${choices.join(', ')}.`);
}

/** @throws {UsageError} unless it is absent, or a whole number of 32 bits. */
export function optionalSeed(text: string | undefined): number | undefined {
  return text === undefined ? undefined : wholeNumber('--seed', text, 0, 2 ** 32 - 1);
}
