import type { ConnectContext, SecretReference } from '../../src/plug-in/certificate-authority.ts';
import type { Command } from './run-command.ts';

/** Environment variables as options give them: text, or a secret by reference. */
export async function environmentOf(
  env: Readonly<Record<string, string | SecretReference>>,
  context: ConnectContext,
): Promise<{ environment: Record<string, string>; secrets: string[] }> {
  const environment: Record<string, string> = {};
  const secrets: string[] = [];
  for (const [name, value] of Object.entries(env)) {
    const text = typeof value === 'string' ? value : await context.readSecret(value);
    if (typeof value !== 'string') secrets.push(text);
    environment[name] = text;
  }
  return { environment, secrets };
}

/**
 * Program and arguments of the options as a command that runs in the configuration file's directory, where a program
 * with a slash in it starts, too.
 */
export function commandOf(
  [program = '', ...rest]: readonly string[],
  environment: Command['environment'],
  timeoutSeconds: number,
  context: ConnectContext,
): Omit<Command, 'input'> {
  return {
    program: program.includes('/') ? context.resolvePath(program) : program,
    arguments: rest,
    directory: context.resolvePath('.'),
    environment,
    timeoutMs: timeoutSeconds * 1_000,
  };
}
