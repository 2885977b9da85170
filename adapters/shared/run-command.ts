import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { ProvisioningError } from '../../src/errors.ts';
import type { Clock } from '../../src/time/clock.ts';
import { signalGroup } from './process-group.ts';

const stdoutLimitBytes = 1024 * 1024;
const stderrTailBytes = 64 * 1024;
/** How long a command, and what it left running, may tidy up after SIGTERM before SIGKILL. */
const graceMs = 2_000;
/** How often it is looked at whether anything of the group is left. */
const lookMs = 100;
/** How long output is read after the command's end where something that escaped its group holds the pipes. */
const drainMs = 1_000;

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
  readonly held?: HeldByCommand;
}

/** What belongs to a command for as long as anything of its process group runs. */
export interface HeldByCommand {
  /** Called as soon as it runs. `pid` is its process and its group. */
  started(pid: number): void;
  /** Called once, when nothing is left of it, also when it could not be started. */
  release(): Promise<void>;
}

export interface CommandResult {
  readonly exitCode: number;
  /** UTF-8, at most 1 MiB. */
  readonly stdout: string;
  /** UTF-8, the last 64 KiB. */
  readonly stderr: string;
}

interface Running {
  readonly pid: number;
  readonly child: ChildProcessWithoutNullStreams;
  readonly command: Command;
  readonly exited: Promise<void>;
  /** Nothing is left of it, as far as we can tell. */
  readonly over: PromiseWithResolvers<void>;
}

/**
 * Runs commands without a shell, each in a process group of its own. A command is over when it exits, whatever
 * it left running; that is ended too, as is all of it when it is aborted or takes too long. Disposing kills
 * what still runs.
 */
export class CommandRunner implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #running = new Set<Running>();
  readonly #closing = new AbortController();

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
    const running = await this.#start(command, signal);
    const over = new AbortController();
    try {
      command.held?.started(running.pid);
      return await Promise.race([
        this.#answer(running, over.signal),
        this.#deadline(command, signal, over.signal),
      ]);
    } finally {
      over.abort();
      const stopped = this.#stop(running);
      // What has gone already is let go of before the caller goes on; the rest in the background.
      if (signalGroup(running.pid, 0) === 'gone') await stopped;
    }
  }

  async #start(command: Command, signal: AbortSignal): Promise<Running> {
    try {
      signal.throwIfAborted();
      if (this.#closing.signal.aborted) {
        throw notCarriedOut('ca-unavailable', 'The authority is closed.');
      }
      const child = spawned(command);
      const failed = new Promise<unknown>((resolve) => child.on('error', resolve));
      const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      const { pid } = child;
      if (pid === undefined) throw notStarted(command, await failed);
      const running = { pid, child, command, exited, over: Promise.withResolvers<void>() };
      this.#running.add(running);
      return running;
    } catch (error) {
      await command.held?.release();
      throw error;
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

  /** The exit counts, not the end of the pipes: a process that was left in the background may hold these. */
  async #answer({ child, command, pid }: Running, over: AbortSignal): Promise<CommandResult> {
    const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
    const ended = new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
      child.once('exit', (exitCode, killedBy) => resolve([exitCode, killedBy])),
    );
    const { output, tooMuch } = collect(child, command);
    const [exitCode, killedBy] = await Promise.race([ended, tooMuch]);
    signalGroup(pid, 'SIGTERM');
    await Promise.race([closed, tooMuch, this.#pause(drainMs, over)]);
    if (exitCode === null) {
      throw new ProvisioningError('ca-unavailable', `${command.program} was ended by ${killedBy}`);
    }
    return { exitCode, ...output() };
  }

  /** Ends what is left of the group, and then lets go of everything. Never rejects. */
  async #stop(running: Running): Promise<void> {
    const { pid, child, command, exited } = running;
    const until = this.#clock.now() + graceMs;
    if (signalGroup(pid, 'SIGTERM') === 'sent') {
      if (!hasExited(child)) await Promise.race([exited, this.#pause(graceMs)]);
      while (signalGroup(pid, 0) === 'sent' && this.#clock.now() < until) {
        if (!(await this.#pause(lookMs))) break;
      }
    }
    const isForbidden = signalGroup(pid, 'SIGKILL') === 'forbidden';
    for (const stream of child.stdio) stream?.destroy();
    if (isForbidden) {
      // It runs as another user, so nobody waits for it; what it holds stays held until it ends.
      child.unref();
      running.over.resolve();
    }
    await exited;
    // Nothing is lost when this fails: what is left behind is swept at the next start.
    await command.held?.release().catch(() => undefined);
    running.over.resolve();
    this.#running.delete(running);
  }

  /** False when it was cut short. */
  async #pause(forMs: number, over: AbortSignal = this.#closing.signal): Promise<boolean> {
    const signal = AbortSignal.any([over, this.#closing.signal]);
    return this.#clock.sleep(forMs, signal).then(
      () => true,
      () => false,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    const running = [...this.#running];
    for (const { pid } of running) signalGroup(pid, 'SIGKILL');
    await Promise.all(running.map(({ over }) => over.promise));
  }
}

function spawned(command: Command): ChildProcessWithoutNullStreams {
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

/** Feeds the command and gathers what it says. `tooMuch` only ever rejects. */
function collect(child: ChildProcessWithoutNullStreams, command: Command) {
  const { promise: tooMuch, reject } = Promise.withResolvers<never>();
  const chunks: Buffer[] = [];
  let bytes = 0;
  let stderr = Buffer.alloc(0);
  child.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= stdoutLimitBytes) chunks.push(chunk);
    else reject(outputTooLong(command));
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr = Buffer.concat([stderr, chunk]).subarray(-stderrTailBytes);
  });
  // EPIPE: the command ended, or closed its stdin, without reading the request. Its exit status counts.
  child.stdin.on('error', () => undefined);
  child.stdin.end(command.input);
  const output = () => ({
    stdout: Buffer.concat(chunks).toString('utf8'),
    stderr: stderr.toString('utf8'),
  });
  return { output, tooMuch };
}

function outputTooLong(command: Command): ProvisioningError {
  return new ProvisioningError(
    'ca-bad-answer',
    `${command.program} wrote more than ${stdoutLimitBytes / 1024 / 1024} MiB to stdout`,
  );
}

/** Errors that come from a machine at its limits, and pass. */
const passingErrors = new Set(['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM']);

function notStarted(command: Command, cause: unknown): ProvisioningError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
  return notCarriedOut(
    passingErrors.has(code) ? 'ca-unavailable' : 'ca-misconfigured',
    `${command.program} cannot be started in ${command.directory}: ${code}. Check that program and directory exist and that the file is executable.`,
    cause,
  );
}

function notCarriedOut(
  code: 'ca-unavailable' | 'ca-misconfigured',
  message: string,
  cause?: unknown,
) {
  return new ProvisioningError(code, message, { cause, unanswered: false });
}

function hasExited(child: ChildProcessWithoutNullStreams): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
