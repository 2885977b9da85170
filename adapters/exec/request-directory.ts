import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import {
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import type { Clock } from '../../src/time/clock.ts';
import { messageOf } from '../../src/words/message-of.ts';
import { identityOf, isGroupRunning, isRunning, signalGroup } from '../shared/process-group.ts';
import type { HeldByCommand } from '../shared/run-command.ts';

/*
 * Each run of a command has a directory, which only we can read: the request as JSON, and who runs there. It is
 * also the order's lock on this machine: a command may outlive a service that was killed, and must not be run a
 * second time beside itself. So the directory is named after the order, appears whole, and goes when nothing of
 * the command is left.
 */

const process_ = z.object({ pid: z.int().positive(), startedAt: z.string() });
const runShape = z.object({
  service: process_,
  /** The leader of the command's group; absent until it runs. */
  command: process_.optional(),
  /** How long the command may take, milliseconds since the epoch. */
  until: z.number(),
});
type Run = z.output<typeof runShape>;

/** How long an overdue command may tidy up after SIGTERM. */
const graceMs = 2_000;
/** How long an order waits for its earlier run to end before it is left for later, and how often it looks. */
const patienceMs = 5_000;
const lookMs = 100;
/** A directory without its file is being made, or was when its service died. */
const longestMakingMs = 60_000;
/** No command of an earlier version, which left no file behind, was allowed to run as long. */
const oldEnoughMs = 2 * 3_600_000;

export interface RunOfOrder {
  /** Names the order and the command; fit for a file name. */
  readonly key: string;
  readonly requestJson: string;
  readonly timeoutMs: number;
  readonly clock: Clock;
}

export class RequestDirectory implements HeldByCommand {
  /** The request as JSON. */
  readonly requestFile: string;
  readonly #path: string;
  readonly #run: Run;

  private constructor(path: string, run: Run) {
    this.#path = path;
    this.#run = run;
    this.requestFile = join(path, 'request.json');
  }

  /** @throws {ProvisioningError} `ca-throttled` when an earlier run of the order does not end soon. */
  static async take(order: RunOfOrder, signal: AbortSignal): Promise<RequestDirectory> {
    const { key, requestJson, timeoutMs, clock } = order;
    const root = await ownRoot();
    const path = join(root, key);
    const patientUntil = clock.now() + patienceMs;
    for (;;) {
      const run = { service: identityOf(process.pid), until: clock.now() + timeoutMs };
      if (await hasMade(path, run, requestJson)) return new RequestDirectory(path, run);
      if (await isDead(path, clock.now())) await removeDead(path, clock.now());
      else if (clock.now() < patientUntil) await clock.sleep(lookMs, signal);
      else throw stillRunning(await readRun(path));
    }
  }

  /** Nothing may come between a command's start and the note of it, so this waits for the disk. */
  started(pid: number): void {
    const file = join(this.#path, 'run.json');
    try {
      writeFileSync(file, JSON.stringify({ ...this.#run, command: identityOf(pid) }));
    } catch (error) {
      // It is ended at once, but it ran.
      throw notWritable(this.#path, error, true);
    }
  }

  async release(): Promise<void> {
    await rm(this.#path, { recursive: true, force: true });
  }
}

/** @throws {ProvisioningError} `ca-misconfigured` when no request can be kept from other users, or written at all. */
export async function readyForRequests(): Promise<void> {
  await ownRoot();
}

/**
 * Removes what services that were killed have left, and ends commands of theirs that are overdue, until it is
 * aborted. There may be thousands. What cannot be removed is left: an order that needs its place says so.
 */
export async function sweepRequestDirectories(clock: Clock, signal: AbortSignal): Promise<void> {
  const everybodys = tmpdir();
  const root = await ownRoot();
  for (const name of await namesIn(root)) {
    if (signal.aborted) return;
    const path = join(root, name);
    // What cannot be removed now is looked at again at the next start, and keeps nobody waiting.
    if (await isDead(path, clock.now())) await removeDead(path, clock.now()).catch(() => undefined);
  }
  for (const name of await namesIn(everybodys)) {
    if (signal.aborted) return;
    if (/^certprov-[A-Za-z0-9]{6}$/.test(name)) {
      await sweepEarlier(join(everybodys, name), clock.now());
    }
  }
}

/** /tmp need not let itself be listed. */
function namesIn(directory: string): Promise<string[]> {
  return readdir(directory).catch(() => []);
}

/** The directory of an earlier version: it held the request and nothing else. */
async function sweepEarlier(path: string, now: number): Promise<void> {
  const uid = process.getuid?.();
  try {
    // In /tmp anybody may have put a link of that name to a directory of ours.
    const directory = await lstat(path);
    if (!directory.isDirectory() || directory.uid !== uid) return;
    const file = join(path, 'request.json');
    const found = await lstat(file);
    if (found.uid !== uid || found.mtimeMs > now - oldEnoughMs) return;
    await rm(file);
    await rmdir(path);
  } catch {
    // It is none of ours, or another instance was faster.
  }
}

/**
 * First out of the way, for another instance may have removed it meanwhile and have put its own run in the place: that
 * one goes back.
 */
async function removeDead(path: string, now: number): Promise<void> {
  const aside = join(dirname(path), `old-${randomUUID()}`);
  try {
    await rename(path, aside);
    if (await isDead(aside, now)) await rm(aside, { recursive: true, force: true });
    else await rename(aside, path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw notWritable(path, error);
  }
}

/** Makes the directory whole, or not at all: false when there is one in its place. */
async function hasMade(path: string, run: Run, requestJson: string): Promise<boolean> {
  const made = join(dirname(path), `new-${randomUUID()}`);
  try {
    await mkdir(made, { mode: 0o700 });
    await writeFile(join(made, 'request.json'), requestJson, { mode: 0o600, flag: 'wx' });
    await writeFile(join(made, 'run.json'), JSON.stringify(run), { mode: 0o600, flag: 'wx' });
    await rename(made, path);
    return true;
  } catch (error) {
    await rm(made, { recursive: true, force: true });
    const code = codeOf(error);
    if (code === 'ENOTEMPTY' || code === 'EEXIST') return false;
    throw notWritable(made, error);
  }
}

/** Whether nobody needs the directory any more. A command that is overdue and has no service is ended. */
async function isDead(path: string, now: number): Promise<boolean> {
  const run = await readRun(path);
  if (run === undefined) {
    const made = await stat(path).catch(() => undefined); // Gone meanwhile, which is as good.
    return made === undefined || made.mtimeMs < now - longestMakingMs;
  }
  if (isRunning(run.service)) return false;
  if (run.command === undefined || !isGroupRunning(run.command)) return true;
  const { pid } = run.command;
  if (now > run.until + graceMs) return signalGroup(pid, 'SIGKILL') !== 'forbidden';
  if (now > run.until) signalGroup(pid, 'SIGTERM');
  return false;
}

async function readRun(path: string): Promise<Run | undefined> {
  try {
    return runShape.parse(JSON.parse(await readFile(join(path, 'run.json'), 'utf8')));
  } catch {
    return undefined; // Not there, or not whole.
  }
}

/** Ours alone, although /tmp is everybody's. */
async function ownRoot(): Promise<string> {
  const uid = process.getuid?.() ?? 0;
  const root = join(tmpdir(), `certprov-exec-${uid}`);
  try {
    await mkdir(root, { recursive: true, mode: 0o700 });
    const found = await lstat(root);
    if (!found.isDirectory() || found.uid !== uid || (found.mode & 0o077) !== 0) {
      throw new Error('it is not a directory of ours alone');
    }
    return root;
  } catch (error) {
    throw notWritable(root, error);
  }
}

function notWritable(path: string, error: unknown, unanswered = false): ProvisioningError {
  const said = messageOf(error);
  return new ProvisioningError(
    'ca-misconfigured',
    `Requests cannot be written to ${path}: ${said}. Make TMPDIR a directory where the service's user may write and there is room, and remove what stands in the way.`,
    { cause: error, unanswered },
  );
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

function stillRunning(run: Run | undefined): ProvisioningError {
  const who = run?.command === undefined ? '' : ` (process ${run.command.pid})`;
  return new ProvisioningError(
    'ca-throttled',
    `An earlier run of this order${who} has not ended on this machine. The order is tried again when it has, or when its time is over and it was ended.`,
    { retryAfterMs: patienceMs },
  );
}
