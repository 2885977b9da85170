import type { z } from 'zod';

/** A refinement of options that have a `method`: which others each method needs. */
export function neededBy<Method extends string, Key extends string>(
  keys: Readonly<Record<Method, readonly Key[]>>,
) {
  return (
    options: { readonly method: Method } & { readonly [K in Key]?: unknown },
    context: z.core.$RefinementCtx,
  ): void => {
    for (const key of keys[options.method]) {
      if (options[key] !== undefined) continue;
      const message = `is needed for the method ${options.method}`;
      context.addIssue({ code: 'custom', path: [key], message });
    }
  };
}
