import type { z } from 'zod';

/**
 * The fields of `raw` that are valid one by one, so that one wrong field does not hide what is wrong with
 * the others. Fields that are wrong are left out: the whole schema has complained about them already.
 */
export function validFields<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  raw: unknown,
): Partial<z.output<z.ZodObject<Shape>>> {
  const given = asRecord(raw);
  const valid: Record<string, unknown> = {};
  for (const [key, field] of Object.entries<z.core.$ZodType>(schema.shape)) {
    const checked = (field as z.ZodType).safeParse(given[key]);
    if (checked.success && checked.data !== undefined) valid[key] = checked.data;
  }
  return valid as Partial<z.output<z.ZodObject<Shape>>>;
}

/** The value when it is a group of keys, else an empty one. */
export function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  const isGroup = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isGroup ? (value as Record<string, unknown>) : {};
}
