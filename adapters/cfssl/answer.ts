import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import type { Clock } from '../../src/time/clock.ts';
import type { HttpAnswer } from '../shared/http.ts';
import { quote, readJson } from '../shared/json-answer.ts';
import { jsonBody } from '../shared/json-body.ts';
import { serverWords } from '../shared/server-words.ts';
import { statusProblem } from '../shared/status-problem.ts';

/*
 * cfssl answers everything with one envelope: { success, result, errors: [{ code, message }], messages }
 * (cfssl doc/api/intro.txt). Codes are made of a class in the thousands and a reason (errors/doc.go).
 */

const envelope = z.object({
  success: z.boolean(),
  result: z.unknown(),
  errors: z
    .array(z.object({ code: z.number(), message: z.string() }))
    .nullish()
    .transform((errors) => errors ?? []),
});

/** cfssl's database has no such certificate. */
export class CfsslNotFound extends ProvisioningError {
  override readonly name = 'CfsslNotFound';
}

/** cfssl decided against the request itself. */
export class CfsslRefusal extends Error {
  override readonly name = 'CfsslRefusal';
}

/**
 * The result of a successful answer.
 *
 * @param secrets never repeated in messages.
 * @throws {CfsslRefusal} when the CSR or its names are refused.
 * @throws {ProvisioningError} for everything else.
 */
export function resultOf<Schema extends z.ZodType>(
  answer: HttpAnswer,
  schema: Schema,
  context: { readonly call: string; readonly clock: Clock; readonly secrets: readonly string[] },
): z.output<Schema> {
  const { call, clock, secrets } = context;
  const { status } = answer;
  const read = envelope.safeParse(jsonBody(answer.body));
  const isOwn = read.success;
  const isEndpointMissing =
    [401, 403, 404, 405].includes(status) || (status >= 300 && status < 400);
  if (status >= 400 && isOwn && !isEndpointMissing && status !== 429 && status < 500) {
    throw problemOf(read.data.errors, call, secrets);
  }
  if (status >= 300) {
    const words = isOwn
      ? quote(read.data.errors[0]?.message ?? '', secrets)
      : serverWords(answer.body, secrets);
    throw statusProblem(answer, {
      what: `cfssl answered ${status} to ${call}${words === '' ? '' : `: ${words}`}`,
      isOwn,
      now: clock.now(),
      hint: 'Check url, and that this endpoint is enabled there (revoke needs a database, authsign a profile with auth_key).',
    });
  }
  const { success, errors, result } = readJson(answer, envelope, `The answer to ${call}`);
  if (status !== 200 || !success) throw problemOf(errors, call, secrets);
  return readJson(
    { ...answer, body: Buffer.from(JSON.stringify(result ?? null)) },
    schema,
    `The result of ${call}`,
  );
}

function problemOf(
  errors: readonly { readonly code: number; readonly message: string }[],
  call: string,
  secrets: readonly string[],
): Error {
  const [first] = errors;
  if (first === undefined) {
    return new ProvisioningError('ca-bad-answer', `cfssl refused ${call} without an error.`);
  }
  const { code } = first;
  const said = `cfssl refused ${call} with code ${code}: ${quote(first.message, secrets)}`;
  // 5300: the request; 5500: a name that the profile's whitelist lacks; 9xxx: the CSR.
  if (code === 5300 || code === 5500 || thousands(code) === 9) return new CfsslRefusal(said);
  if (code === 11_200) return new CfsslNotFound('ca-misconfigured', said);
  // The other 11xxx are the database's own trouble.
  if (thousands(code) === 11) return new ProvisioningError('ca-unavailable', said);
  // 400 is what "authentication required" and "invalid token" come with, 5xxx is a profile that is wrong,
  // 1xxx and 2xxx are the CA's own certificate and key: all for an administrator.
  return new ProvisioningError('ca-misconfigured', said);
}

function thousands(code: number): number {
  return Math.trunc(code / 1_000);
}
