import { type Door, Violation } from './door.ts';

/** What became of one input. */
export type Outcome =
  /** `trace` is the same for inputs that ended in the same way. */
  | { readonly kind: 'fine'; readonly trace: string; readonly accepted: boolean }
  | { readonly kind: 'finding'; readonly what: string };

/**
 * Inputs are small; one that takes longer holds up everybody else's. In milliseconds of this thread's own
 * time, so that a busy machine makes nothing slow. What never comes back is for main.ts to see.
 */
const slowMs = 2_000;

/** Tries one input at a door. Never rejects. */
export async function attempt(door: Door, input: Uint8Array): Promise<Outcome> {
  const before = process.threadCpuUsage();
  const outcome = await entered(door, input);
  const { user, system } = process.threadCpuUsage(before);
  const tookMs = (user + system) / 1_000;
  const pollution = pollutionOf();
  if (pollution !== undefined) return finding(`pollutes ${pollution}`);
  if (outcome.kind === 'fine' && tookMs > slowMs) return finding(`took ${Math.round(tookMs)} ms`);
  return outcome;
}

async function entered(door: Door, input: Uint8Array): Promise<Outcome> {
  try {
    return { kind: 'fine', accepted: true, trace: `accepted ${await door.enter(input)}` };
  } catch (error) {
    if (error instanceof Violation) return finding(error.message);
    if (door.isRefusal(error)) {
      return { kind: 'fine', accepted: false, trace: `refused ${traceOf(error)}` };
    }
    return finding(`throws ${error instanceof Error ? (error.stack ?? error.message) : error}`);
  }
}

function finding(what: string): Outcome {
  return { kind: 'finding', what: what.slice(0, 4_000) };
}

/** An error's message without what it quotes, so that like errors are one. */
function traceOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message
    .slice(0, 600)
    .replace(/"[^"]*"|“[^”]*”|#?[\da-f]{4,}|\d+|[^ -~]+/gi, '_')
    .slice(0, 100);
}

const watched = [Object.prototype, Array.prototype, Function.prototype, String.prototype] as const;
const untouched = watched.map((prototype) => Reflect.ownKeys(prototype).length);

/** Which of the prototypes that everything shares has got a member; it is taken off again. */
function pollutionOf(): string | undefined {
  for (const [index, prototype] of watched.entries()) {
    const keys = Reflect.ownKeys(prototype);
    if (keys.length === untouched[index]) continue;
    const added = keys.slice(untouched[index]);
    for (const key of added) Reflect.deleteProperty(prototype, key);
    return `${prototype.constructor.name}.prototype with ${added.map(String).join(', ')}`;
  }
  return undefined;
}
