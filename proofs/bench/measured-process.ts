import { readFileSync } from 'node:fs';

/** CPU time of a process, user and system, all threads, in milliseconds. */
export function cpuMs(pid: number): number {
  const { user, system } = ticksOf(pid);
  return (user + system) * 10;
}

/** The same of a process and of those that it started, whether they are still there or not. */
export function cpuMsOfFamily(pid: number): number {
  const { user, system, gone } = ticksOf(pid);
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
  const living = children.filter(Boolean).map((child) => cpuMs(Number(child)));
  return living.reduce((sum, ms) => sum + ms, (user + system + gone) * 10);
}

/** Hundredths of a second; `gone`: of children that have ended. */
function ticksOf(pid: number) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name in the second field may hold spaces, so the fields are counted from behind its bracket.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [user = 0, system = 0, goneUser = 0, goneSystem = 0] = fields.slice(11, 15).map(Number);
  return { user, system, gone: goneUser + goneSystem };
}

/** Resident memory now and at its highest, in MiB. */
export function memoryMiB(pid: number): { readonly now: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? Number.NaN) / 1_024;
  return { now: field('VmRSS'), peak: field('VmHWM') };
}

/** The value below which a share `part` of the values lies; NaN for none. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}
