import type { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import type { HttpAnswer } from './http.ts';

const mostProblems = 5;

/** An answer's JSON; undefined when it is none, which no schema takes and the caller so reports. */
export function jsonBody(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

/**
 * The body as the JSON that the protocol promises.
 *
 * @throws {ProvisioningError} `ca-bad-answer`; the body is not repeated, only what is wrong with it.
 */
export function readJson<Schema extends z.ZodType>(
  { status, body }: HttpAnswer,
  schema: Schema,
  what: string,
): z.output<Schema> {
  const json = jsonBody(body);
  if (json !== undefined) return readAs(json, schema, `${what} is not what the protocol promises`);
  const found = `${what} is not JSON (status ${status}, ${body.length} bytes).`;
  throw new ProvisioningError('ca-bad-answer', found);
}

/**
 * A part of an answer's JSON.
 *
 * @param problem begins the message where it is not of this shape.
 * @throws {ProvisioningError} `ca-bad-answer`; what was said is not repeated.
 */
export function readAs<Schema extends z.ZodType>(
  json: unknown,
  schema: Schema,
  problem: string,
): z.output<Schema> {
  const read = schema.safeParse(json);
  if (read.success) return read.data;
  const issues = read.error.issues
    .slice(0, mostProblems)
    .map(({ path, message }) => `${path.join('.') || 'the whole'}: ${message}`);
  throw new ProvisioningError('ca-bad-answer', `${problem}: ${issues.join('; ')}`);
}
