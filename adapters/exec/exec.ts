import { hash } from 'node:crypto';
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import {
  type CertificateAuthority,
  type ConnectContext,
  defineAdapter,
  type Issuance,
  type IssueRequest,
} from '../../src/plug-in/certificate-authority.ts';
import { secretReference } from '../../src/plug-in/secret.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { commandOf, environmentOf } from '../shared/command-options.ts';
import { orderJson } from '../shared/order-json.ts';
import { type CommandResult, CommandRunner, type HeldByCommand } from '../shared/run-command.ts';
import { readTicket } from '../shared/ticket.ts';
import { issuanceOf, stderrOf } from './answer.ts';
import {
  RequestDirectory,
  readyForRequests,
  sweepRequestDirectories,
} from './request-directory.ts';

/*
 * A CA behind a command. The contract with the command is in docs/develop/adapters.md: the CSR (PEM) on stdin, what is asked for in
 * the environment and in a JSON file, the certificate on stdout, and an exit status that says who must act.
 */

const command = z
  .array(z.string().max(10_000))
  .min(1)
  .max(1_000)
  .refine(([program]) => program !== undefined && program.trim() !== '', 'the program is empty');

const options = z.strictObject({
  command: command.describe(
    'Program and arguments, run without a shell in the configuration file’s directory. A program with a slash in it starts there, another is looked for in PATH.',
  ),
  timeoutSeconds: z
    .number()
    .positive()
    .max(3600)
    .default(60)
    .describe('How long one run may take; then the command and all it started are ended.'),
  pollSeconds: z
    .number()
    .positive()
    .max(86_400)
    .default(60)
    .describe('How soon the command is run again for an order that it left pending.'),
  idempotent: z
    .boolean()
    .default(false)
    .describe(
      'True when the command answers a repeated CERTPROV_REQUEST_ID with the certificate that it gave the first time. Do not promise what it does not keep.',
    ),
  env: z
    .record(
      z
        .string()
        .regex(
          /^(?!CERTPROV_)[A-Za-z_][A-Za-z0-9_]*$/,
          'not the name of a variable, or one of our own',
        ),
      z.union([z.string(), secretReference]),
    )
    .default({})
    .describe(
      'Further environment variables: text, or a secret by reference. Besides these the command sees only PATH, HOME, LANG and TMPDIR.',
    ),
  checkCommand: command
    .optional()
    .describe(
      'Says with exit status 0 whether the CA could issue now. Without it only the command’s file is looked at.',
    ),
  revokeCommand: command
    .optional()
    .describe(
      'Revokes: the certificate (PEM) on stdin, CERTPROV_REASON in the environment; exit status 0, also when it was revoked already.',
    ),
});

interface Exec {
  readonly options: z.output<typeof options>;
  readonly context: ConnectContext;
  readonly runner: CommandRunner;
  readonly environment: Readonly<Record<string, string>>;
  readonly secrets: readonly string[];
}

export default defineAdapter({
  kind: 'exec',
  options,
  async connect(given, context, signal) {
    signal.throwIfAborted();
    await readyForRequests();
    const { environment: own, secrets } = await environmentOf(given.env, context);
    const environment = { ...inheritedEnvironment(), ...own };
    const runner = new CommandRunner(context.clock);
    const exec = { options: given, context, runner, environment, secrets };
    const closing = new AbortController();
    // Beside the first orders, each of which looks at its own place itself.
    const swept = sweepRequestDirectories(context.clock, closing.signal).catch(
      () => undefined, // The first order meets the same trouble, and tells.
    );
    const { revokeCommand } = given;
    return {
      kind: 'exec',
      features: {
        idempotent: given.idempotent,
        pending: true,
        revoke: revokeCommand !== undefined,
        keyTypes: ['rsa', 'ec'],
        mayDrop: [],
      },
      check: (signal) => check(exec, signal),
      issue: (request, signal) => order(exec, request, undefined, signal),
      async collect(ticket, request, signal) {
        const earlier = readTicket(ticket, z.string(), 'none that a command gave');
        return order(exec, request, earlier, signal);
      },
      ...(revokeCommand === undefined ? {} : { revoke: revocation(exec, revokeCommand) }),
      async [Symbol.asyncDispose]() {
        closing.abort();
        await runner[Symbol.asyncDispose]();
        await swept;
      },
    };
  },
});

async function check(exec: Exec, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { command, checkCommand, revokeCommand } = exec.options;
  for (const words of [command, revokeCommand, checkCommand]) {
    if (words !== undefined) await findProgram(exec, words);
  }
  if (checkCommand !== undefined) await succeed(exec, checkCommand, '', {}, signal);
}

async function order(
  exec: Exec,
  request: IssueRequest,
  ticket: string | undefined,
  signal: AbortSignal,
): Promise<Issuance> {
  signal.throwIfAborted();
  const { options, context, secrets } = exec;
  const { command, pollSeconds, timeoutSeconds } = options;
  const told = orderJson(request);
  const directory = await RequestDirectory.take(
    {
      key: `${request.requestId}-${fingerprintOf(exec)}`,
      requestJson: `${JSON.stringify(told, undefined, 2)}\n`,
      timeoutMs: timeoutSeconds * 1_000,
      clock: context.clock,
    },
    signal,
  );
  const variables = {
    CERTPROV_REQUEST_ID: request.requestId,
    CERTPROV_REQUEST_FILE: directory.requestFile,
    ...(ticket === undefined ? {} : { CERTPROV_TICKET: ticket }),
  };
  return issuanceOf(await run(exec, command, told.csrPem, variables, signal, directory), {
    request,
    program: command[0] ?? '',
    secrets: ticket === undefined ? secrets : [...secrets, ticket],
    ticket,
    pollAfterMs: pollSeconds * 1_000,
  });
}

function revocation(
  exec: Exec,
  words: readonly string[],
): NonNullable<CertificateAuthority['revoke']> {
  return async (certificate, reason, signal) => {
    const pem = encodePem('CERTIFICATE', certificate);
    await succeed(exec, words, pem, { CERTPROV_REASON: reason }, signal);
  };
}

async function succeed(...given: Parameters<typeof run>): Promise<void> {
  const [{ secrets }, [program]] = given;
  const result = await run(...given);
  if (result.exitCode === 0) return;
  const said = stderrOf(result, secrets);
  throw new ProvisioningError(
    'ca-unavailable',
    `${program} ended with status ${result.exitCode}: ${said}`,
  );
}

function run(
  exec: Exec,
  words: readonly string[],
  input: string,
  variables: Readonly<Record<string, string>>,
  signal: AbortSignal,
  held?: HeldByCommand,
): Promise<CommandResult> {
  const command = located(exec, words, variables);
  return exec.runner.run({ ...command, input, ...(held === undefined ? {} : { held }) }, signal);
}

function located(
  { options, context, environment }: Exec,
  words: readonly string[],
  variables: Readonly<Record<string, string>> = {},
) {
  return commandOf(words, { ...environment, ...variables }, options.timeoutSeconds, context);
}

/** Tells the same order of two commands apart. */
function fingerprintOf(exec: Exec): string {
  const { program, arguments: rest } = located(exec, exec.options.command);
  return hash('sha256', JSON.stringify([program, ...rest]), 'hex').slice(0, 16);
}

async function findProgram(exec: Exec, words: readonly string[]): Promise<void> {
  const { program } = located(exec, words);
  const path = exec.environment['PATH'] ?? '';
  const candidates = isAbsolute(program)
    ? [program]
    : path.split(delimiter).map((directory) => join(directory, program));
  for (const candidate of candidates) if (await isExecutable(candidate)) return;
  throw new ProvisioningError(
    'ca-misconfigured',
    isAbsolute(program)
      ? `${program} does not exist or is not executable. A program with a slash starts at the configuration file's directory.`
      : `${program} is in no directory of PATH (${path}). Give its whole path.`,
  );
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false; // Whatever the reason: it cannot be run.
  }
}

/** What every program may expect, and nothing that this service was told in confidence. */
function inheritedEnvironment(): Record<string, string> {
  const inherited: Record<string, string> = {};
  for (const name of ['PATH', 'HOME', 'LANG', 'TMPDIR']) {
    const value = process.env[name];
    if (value !== undefined) inherited[name] = value;
  }
  return inherited;
}
