/** Whether the time of day can be relied on. */
export interface ClockTrust {
  /** Why not; undefined when it can. */
  readonly problem: string | undefined;
  /** Changes when a clock was set, ours or the database's: what was due by the old time is looked at again. */
  readonly epoch: number;
  /** Resolves when it can be relied on; rejects with the signal's reason. */
  untilTrusted(signal: AbortSignal): Promise<void>;
}

/** For clocks that nobody can set. */
export const blindTrust: ClockTrust = {
  problem: undefined,
  epoch: 0,
  untilTrusted: () => Promise.resolve(),
};
