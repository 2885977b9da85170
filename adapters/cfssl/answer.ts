import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import { readAs } from '../shared/json-answer.ts';
import type { Dialect, JsonAnswer, JsonApi } from '../shared/json-api.ts';
import { Refusal } from '../shared/refusal.ts';

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

export const cfsslDialect: Dialect = {
  said: (call, status) => `cfssl answered ${status} to ${call}`,
  ownWords(json) {
    const read = envelope.safeParse(json).data;
    return read && (read.errors[0]?.message ?? '');
  },
  hint: () =>
    'Check url, and that this endpoint is enabled there (revoke needs a database, authsign a profile with auth_key).',
};

/** cfssl's database has no such certificate. */
export class CfsslNotFound extends ProvisioningError {
  override readonly name = 'CfsslNotFound';
}

/** Of 4xx these are about the endpoint, and not about what was asked of it. */
const ofTheEndpoint: readonly number[] = [401, 403, 404, 405, 429];

/**
 * The result of a successful answer.
 *
 * @throws {Refusal} when the CSR or its names are refused.
 * @throws {ProvisioningError} for everything else.
 */
export function resultOf<Schema extends z.ZodType>(
  api: JsonApi,
  call: string,
  answer: JsonAnswer,
  schema: Schema,
): z.output<Schema> {
  const { status, own } = answer;
  const isAboutCall = status >= 400 && status < 500 && !ofTheEndpoint.includes(status);
  if (status >= 300 && !(isAboutCall && own !== undefined)) throw api.problem(call, answer);
  const { success, errors, result } = api.read(answer, envelope, `The answer to ${call}`);
  if (status === 200 && success) {
    return readAs(result, schema, `The result of ${call} is not what the protocol promises`);
  }
  const [first] = errors;
  if (first === undefined) {
    throw new ProvisioningError('ca-bad-answer', `cfssl refused ${call} without an error.`);
  }
  const words = api.words(first.message);
  throw problemOf(first.code, `cfssl refused ${call} with code ${first.code}: ${words}`);
}

function problemOf(code: number, said: string): Error {
  const thousands = Math.trunc(code / 1_000);
  // 5300: the request; 5500: a name that the profile's whitelist lacks; 9xxx: the CSR.
  if (code === 5300 || code === 5500 || thousands === 9) return new Refusal(said);
  if (code === 11_200) return new CfsslNotFound('ca-misconfigured', said);
  // The other 11xxx are the database's own trouble.
  if (thousands === 11) return new ProvisioningError('ca-unavailable', said);
  // 400 is what "authentication required" and "invalid token" come with, 5xxx is a profile that is wrong,
  // 1xxx and 2xxx are the CA's own certificate and key: all for an administrator.
  return new ProvisioningError('ca-misconfigured', said);
}
