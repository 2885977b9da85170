import type { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import type { HttpAnswer } from './http.ts';

/** How much of a server's words goes into a message, in characters. */
const longestQuote = 500;

/**
 * The body as the JSON that the protocol promises.
 *
 * @throws {ProvisioningError} `ca-bad-answer`; the body is not repeated, only what is wrong with it.
 */
export function readJson<Schema extends z.ZodType>(
  answer: HttpAnswer,
  schema: Schema,
  what: string,
): z.output<Schema> {
  let json: unknown;
  try {
    json = JSON.parse(answer.body.toString('utf8'));
  } catch {
    throw new ProvisioningError(
      'ca-bad-answer',
      `${what} is not JSON (status ${answer.status}, ${answer.body.length} bytes).`,
    );
  }
  const read = schema.safeParse(json);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw new ProvisioningError(
    'ca-bad-answer',
    `${what} is not what the protocol promises: ${issue?.path.join('.') || 'it'}: ${issue?.message ?? ''}`,
  );
}

/** A server's words for operators: one line, printable, not too long, without our secrets. */
export function quote(text: string, secrets: readonly string[] = []): string {
  let said = text;
  for (const secret of secrets) if (secret !== '') said = said.replaceAll(secret, '[secret]');
  return said
    .replace(/\p{Cc}+/gu, ' ')
    .trim()
    .slice(0, longestQuote);
}
