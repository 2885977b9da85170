import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import type { Clock } from '../../src/clock.ts';
import { ProvisioningError } from '../../src/errors.ts';

const stdoutLimitBytes = 1024 * 1024;
const stderrTailBytes = 64 * 1024;
/** How long a command may tidy up after SIGTERM before SIGKILL. */
const graceMs = 2_000;

export interface Command {
  /** A name to be found in the environment's PATH, or an absolute path. */
  readonly program: string;
  readonly arguments: readonly string[];
  /** The working directory, absolute. */
  readonly directory: string;
  /** The whole environment: nothing is inherited. */
  readonly environment: Readonly<Record<string, string>>;
  /** Written to stdin, which is then closed. A command that does not read it is in its right. */
  readonly input: string;
  readonly timeoutMs: number;
}

export interface CommandResult {
  readonly exitCode: number;
  /** UTF-8, at most 1 MiB. */
  readonly stdout: string;
  /** UTF-8, the last 64 KiB. */
  readonly stderr: string;
}

/**
 * Runs commands without a shell, each in a process group of its own, so that nothing it started is left
 * when it ends, is aborted or takes too long. Disposing kills what still runs.
 */
export class CommandRunner implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #running = new Map<ChildProcessWithoutNullStreams, Promise<void>>();
  #disposed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Resolves whatever the exit status. Rejects with the signal's reason as soon as it is aborted.
   *
   * @throws {ProvisioningError} `ca-misconfigured`: it cannot be started; `ca-unavailable`: it took too long
   * or was killed; `ca-bad-answer`: more than 1 MiB on stdout.
   */
  async run(command: Command, signal: AbortSignal): Promise<CommandResult> {
    signal.throwIfAborted();
    if (this.#disposed) throw new ProvisioningError('ca-unavailable', 'The authority is closed.');
    const child = start(command);
    const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
    this.#running.set(child, closed);
    const over = new AbortController();
    try {
      return await Promise.race([
        answer(child, command),
        this.#deadline(command, signal, over.signal),
      ]);
    } finally {
      over.abort();
      this.#stop(child, closed);
    }
  }

  async #deadline(command: Command, signal: AbortSignal, over: AbortSignal): Promise<never> {
    try {
      await this.#clock.sleep(command.timeoutMs, AbortSignal.any([signal, over]));
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
    throw new ProvisioningError(
      'ca-unavailable',
      `${command.program} did not end within ${command.timeoutMs / 1000} s and was stopped`,
    );
  }

  /** Ends the group in the background: the caller has its answer already. */
  async #stop(child: ChildProcessWithoutNullStreams, closed: Promise<void>): Promise<void> {
    if (!hasEnded(child)) {
      const over = new AbortController();
      signalGroup(child, 'SIGTERM');
      await Promise.race([
        closed,
        this.#clock.sleep(graceMs, over.signal).catch((error: unknown) => {
          if (!over.signal.aborted) throw error;
        }),
      ]);
      over.abort();
    }
    await this.#kill(child, closed);
  }

  /** Also reaches what a command left behind in its group, and lets go of pipes held by what escaped it. */
  async #kill(child: ChildProcessWithoutNullStreams, closed: Promise<void>): Promise<void> {
    const ours = signalGroup(child, 'SIGKILL');
    for (const stream of child.stdio) stream?.destroy();
    if (ours) await closed;
    else child.unref();
    this.#running.delete(child);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    await Promise.all([...this.#running].map(([child, closed]) => this.#kill(child, closed)));
  }
}

function start(command: Command): ChildProcessWithoutNullStreams {
  try {
    return spawn(command.program, command.arguments, {
      cwd: command.directory,
      env: command.environment,
      detached: true,
      stdio: 'pipe',
    });
  } catch (error) {
    // What spawn refuses before it tries: a NUL character in an argument, for example.
    throw notStarted(command, error);
  }
}

function answer(child: ChildProcessWithoutNullStreams, command: Command): Promise<CommandResult> {
  const { promise, resolve, reject } = Promise.withResolvers<CommandResult>();
  const output: Buffer[] = [];
  let outputBytes = 0;
  let stderr = Buffer.alloc(0);
  child.stdout.on('data', (chunk: Buffer) => {
    outputBytes += chunk.length;
    if (outputBytes <= stdoutLimitBytes) output.push(chunk);
    else reject(tooMuch(command));
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr = Buffer.concat([stderr, chunk]).subarray(-stderrTailBytes);
  });
  // EPIPE: the command ended, or closed its stdin, without reading the request. Its exit status counts.
  child.stdin.on('error', () => undefined);
  child.stdin.end(command.input);
  child.once('error', (error) => reject(notStarted(command, error)));
  child.once('close', (exitCode, killedBy) => {
    if (exitCode === null) {
      reject(
        new ProvisioningError('ca-unavailable', `${command.program} was ended by ${killedBy}`),
      );
    } else {
      const stdout = Buffer.concat(output).toString('utf8');
      resolve({ exitCode, stdout, stderr: stderr.toString('utf8') });
    }
  });
  return promise;
}

function tooMuch(command: Command): ProvisioningError {
  return new ProvisioningError(
    'ca-bad-answer',
    `${command.program} wrote more than ${stdoutLimitBytes / 1024 / 1024} MiB to stdout`,
  );
}

/** Errors that come from a machine at its limits, and pass. */
const passingErrors = new Set(['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM']);

function notStarted(command: Command, cause: unknown): ProvisioningError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
  return new ProvisioningError(
    passingErrors.has(code) ? 'ca-unavailable' : 'ca-misconfigured',
    `${command.program} cannot be started in ${command.directory}: ${code}. Check that program and directory exist and that the file is executable.`,
    { cause },
  );
}

function hasEnded(child: ChildProcessWithoutNullStreams): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
}

/** False when there is nothing that we could end: it never started, or it runs as another user (sudo). */
function signalGroup(child: ChildProcessWithoutNullStreams, name: NodeJS.Signals): boolean {
  if (child.pid === undefined) return false;
  try {
    return process.kill(-child.pid, name);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ESRCH') return true; // The group has gone, which is what was wanted.
    if (code === 'EPERM') return false;
    throw error;
  }
}
