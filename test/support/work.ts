/** What a call takes of this thread's processor time, in milliseconds: other work on the machine is not counted. */
export function work(call: () => unknown): { readonly workMs: number; readonly error: unknown } {
  const before = process.threadCpuUsage();
  let error: unknown;
  try {
    call();
  } catch (caught) {
    error = caught;
  }
  const { user, system } = process.threadCpuUsage(before);
  return { workMs: (user + system) / 1_000, error };
}
