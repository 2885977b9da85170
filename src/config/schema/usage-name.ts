import { z } from 'zod';
import { nearestName } from '../../words/nearest-name.ts';

/** A usage's name, read by `parse`, which throws for one that it does not know. */
export function usage<Parsed>(
  parse: (text: string) => Parsed,
  known: readonly string[],
  what: string,
) {
  return z.string().transform((text, context): Parsed => {
    try {
      return parse(text);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      const proposal = nearestName(text, known) ?? `one of ${known.join(', ')}`;
      const message = `is not the name of ${what}. Fix: write ${proposal}`;
      context.addIssue({ code: 'custom', message });
      return z.NEVER;
    }
  });
}
