import fc from 'fast-check';

/**
 * A shorter input of which the same can be said, as fast-check shortens bytes.
 *
 * @param forMs how long it may take; what is shortest by then is answered.
 */
export async function minimise(
  input: Uint8Array,
  holds: (candidate: Uint8Array) => Promise<boolean>,
  forMs: number,
): Promise<Uint8Array> {
  const { counterexample } = await fc.check(
    fc.asyncProperty(fc.uint8Array({ maxLength: input.length }), async (candidate) => {
      return !(await holds(candidate));
    }),
    { examples: [[input]], numRuns: 1, interruptAfterTimeLimit: forMs },
  );
  return counterexample?.[0] ?? input;
}
