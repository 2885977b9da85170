import { readFileSync } from 'node:fs';

/*
 * Process groups of commands, and how a process is known again after a restart: a number alone may belong to
 * another process by then.
 */

/** A process, also in the eyes of a later run of the service. */
export interface ProcessIdentity {
  readonly pid: number;
  /** The machine's boot and the process's start in it; empty where the system has no /proc. */
  readonly startedAt: string;
}

export function identityOf(pid: number): ProcessIdentity {
  return { pid, startedAt: startOf(pid) ?? '' };
}

/** Whether this very process still runs. Where there is no /proc, any process of the number counts. */
export function isRunning({ pid, startedAt }: ProcessIdentity): boolean {
  return startedAt === '' ? exists(pid) : startOf(pid) === startedAt;
}

/**
 * Whether something is left of a group that this process led: itself, or what it started, as long as the
 * number has not gone to another process.
 */
export function isGroupRunning(leader: ProcessIdentity): boolean {
  if (isRunning(leader)) return true;
  const isReused = leader.startedAt !== '' && startOf(leader.pid) !== undefined;
  return !isReused && exists(-leader.pid);
}

/**
 * Sends a signal to all of a group, or with 0 only looks. `gone`: nothing is left of it. `forbidden`: all of it runs as another user
 * (sudo), and we cannot end it.
 */
export function signalGroup(pid: number, name: NodeJS.Signals | 0): 'sent' | 'gone' | 'forbidden' {
  try {
    process.kill(-pid, name);
    return 'sent';
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ESRCH') return 'gone';
    if (code === 'EPERM') return 'forbidden';
    throw error;
  }
}

/** @param target a process, or the negative number of a group. */
function exists(target: number): boolean {
  try {
    process.kill(target, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** proc(5): the third field of /proc/PID/stat is the state, the 22nd the start in ticks since the boot. */
function startOf(pid: number): string | undefined {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is the program's name, which may hold anything, brackets and spaces too.
    const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
    const [state, start] = [fields[0], fields[19]];
    const hasEnded = state === 'Z' || state === 'X';
    return hasEnded || start === undefined ? undefined : `${bootId()} ${start}`;
  } catch {
    return undefined; // There is no such process, or no /proc.
  }
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
}
