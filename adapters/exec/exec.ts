import { hash } from 'node:crypto';
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import {
  type AuthorityFeatures,
  type CertificateAuthority,
  type ConnectContext,
  defineAdapter,
  type Issuance,
  type IssueRequest,
  type RevocationReason,
} from '../../src/plug-in/certificate-authority.ts';
import type { Opaque } from '../../src/plug-in/opaque.ts';
import { secretReference } from '../../src/plug-in/secret.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { type CommandResult, CommandRunner, type HeldByCommand } from '../shared/run-command.ts';
import { readTicket } from '../shared/ticket.ts';
import { issuanceOf, stderrOf } from './answer.ts';
import {
  RequestDirectory,
  readyForRequests,
  sweepRequestDirectories,
} from './request-directory.ts';
import { requestJson } from './request-json.ts';

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

type Options = z.output<typeof options>;

export default defineAdapter({
  kind: 'exec',
  options,
  async connect(given, context, signal) {
    signal.throwIfAborted();
    await readyForRequests();
    const secrets: string[] = [];
    const env: Record<string, string> = {};
    for (const [name, value] of Object.entries(given.env)) {
      const text = typeof value === 'string' ? value : await context.readSecret(value);
      if (typeof value !== 'string') secrets.push(text);
      env[name] = text;
    }
    return new ExecAuthority(given, { ...inheritedEnvironment(), ...env }, secrets, context);
  },
});

class ExecAuthority implements CertificateAuthority {
  readonly kind = 'exec';
  readonly features: AuthorityFeatures;
  readonly revoke?: NonNullable<CertificateAuthority['revoke']>;
  readonly #options: Options;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #secrets: readonly string[];
  readonly #context: ConnectContext;
  readonly #runner: CommandRunner;
  readonly #timeoutMs: number;
  readonly #closing = new AbortController();
  readonly #swept: Promise<void>;
  /** Tells the same order of two commands apart. */
  readonly #fingerprint: string;

  constructor(
    given: Options,
    environment: Readonly<Record<string, string>>,
    secrets: readonly string[],
    context: ConnectContext,
  ) {
    this.#options = given;
    this.#environment = environment;
    this.#secrets = secrets;
    this.#context = context;
    this.#runner = new CommandRunner(context.clock);
    this.#timeoutMs = given.timeoutSeconds * 1_000;
    // Beside the first orders, each of which looks at its own place itself.
    this.#swept = sweepRequestDirectories(context.clock, this.#closing.signal).catch(
      () => undefined, // The first order meets the same trouble, and tells.
    );
    const [program = '', ...rest] = given.command;
    const words = JSON.stringify([this.#locate(program), ...rest]);
    this.#fingerprint = hash('sha256', words, 'hex').slice(0, 16);
    const { revokeCommand } = given;
    this.features = {
      idempotent: given.idempotent,
      pending: true,
      revoke: revokeCommand !== undefined,
      keyTypes: ['rsa', 'ec'],
      mayDrop: [],
    };
    if (revokeCommand !== undefined) {
      this.revoke = (certificate, reason, signal) =>
        this.#revoke(revokeCommand, certificate, reason, signal);
    }
  }

  async check(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { command, checkCommand, revokeCommand } = this.#options;
    for (const words of [command, revokeCommand, checkCommand]) {
      if (words !== undefined) await this.#findProgram(words[0] ?? '');
    }
    if (checkCommand === undefined) return;
    this.#succeeded(await this.#run(checkCommand, '', {}, signal), checkCommand);
  }

  async issue(request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
    return this.#order(request, undefined, signal);
  }

  async collect(ticket: Opaque, request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
    const earlier = readTicket(ticket, z.string(), 'none that a command gave');
    return this.#order(request, earlier, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#runner[Symbol.asyncDispose]();
    await this.#swept;
  }

  async #order(
    request: IssueRequest,
    ticket: string | undefined,
    signal: AbortSignal,
  ): Promise<Issuance> {
    signal.throwIfAborted();
    const { command, pollSeconds } = this.#options;
    const csr = encodePem('CERTIFICATE REQUEST', request.csr);
    const directory = await RequestDirectory.take(
      {
        key: `${request.requestId}-${this.#fingerprint}`,
        requestJson: requestJson(request, csr),
        timeoutMs: this.#timeoutMs,
        clock: this.#context.clock,
      },
      signal,
    );
    const variables = {
      CERTPROV_REQUEST_ID: request.requestId,
      CERTPROV_REQUEST_FILE: directory.requestFile,
      ...(ticket === undefined ? {} : { CERTPROV_TICKET: ticket }),
    };
    const result = await this.#run(command, csr, variables, signal, directory);
    const secrets = ticket === undefined ? this.#secrets : [...this.#secrets, ticket];
    return issuanceOf(result, {
      request,
      program: command[0] ?? '',
      secrets,
      ticket,
      pollAfterMs: pollSeconds * 1_000,
    });
  }

  async #revoke(
    words: readonly string[],
    certificate: Uint8Array,
    reason: RevocationReason,
    signal: AbortSignal,
  ): Promise<void> {
    const pem = encodePem('CERTIFICATE', certificate);
    this.#succeeded(await this.#run(words, pem, { CERTPROV_REASON: reason }, signal), words);
  }

  #run(
    words: readonly string[],
    input: string,
    variables: Readonly<Record<string, string>>,
    signal: AbortSignal,
    held?: HeldByCommand,
  ): Promise<CommandResult> {
    const [program = '', ...rest] = words;
    return this.#runner.run(
      {
        program: this.#locate(program),
        arguments: rest,
        directory: this.#context.resolvePath('.'),
        environment: { ...this.#environment, ...variables },
        input,
        timeoutMs: this.#timeoutMs,
        ...(held === undefined ? {} : { held }),
      },
      signal,
    );
  }

  #succeeded(result: CommandResult, words: readonly string[]): void {
    if (result.exitCode === 0) return;
    const said = stderrOf(result, this.#secrets);
    throw new ProvisioningError(
      'ca-unavailable',
      `${words[0]} ended with status ${result.exitCode}: ${said}`,
    );
  }

  #locate(program: string): string {
    return program.includes('/') ? this.#context.resolvePath(program) : program;
  }

  async #findProgram(program: string): Promise<void> {
    const located = this.#locate(program);
    const path = this.#environment['PATH'] ?? '';
    const candidates = isAbsolute(located)
      ? [located]
      : path.split(delimiter).map((directory) => join(directory, located));
    for (const candidate of candidates) if (await isExecutable(candidate)) return;
    throw new ProvisioningError(
      'ca-misconfigured',
      isAbsolute(located)
        ? `${located} does not exist or is not executable. A program with a slash starts at the configuration file's directory.`
        : `${program} is in no directory of PATH (${path}). Give its whole path.`,
    );
  }
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
