import { z } from 'zod';
import type { Dialect, JsonAnswer, JsonApi } from '../shared/json-api.ts';
import { Refusal } from '../shared/refusal.ts';

const errorBody = z.object({ status: z.number().optional(), message: z.string() });

/** step-ca's own API (api/errors.go: { status, message }). */
export const stepCaDialect: Dialect = {
  said: (call, status) => `step-ca answered ${status} to ${call}`,
  ownWords: (json) => errorBody.safeParse(json).data?.message,
  // It answers so to a path that it does not serve.
  statusOf: ({ status }) => (status === 501 ? 404 : status),
  hint(answer) {
    if (answer.status === 401) {
      return "The token was not accepted: compare provisioner, key, url (its host must be among the CA's dnsNames) and both clocks; the CA's log says more.";
    }
    return isAboutOrder(answer)
      ? 'Raise maxTLSCertDuration of the provisioner, set validity: provisioner, or mend its template.'
      : 'Check url.';
  },
};

/** A 403 or 400 that every order would meet: settings of the provisioner, not this request. */
const settings = /duration|validity|notAfter|notBefore|template/i;

/** Why an answer is no success. `token` is not repeated. */
export function problemOf(api: JsonApi, call: string, answer: JsonAnswer, token: string): Error {
  return isAboutOrder(answer) && !settings.test(answer.own ?? '')
    ? new Refusal(api.says(call, answer, [token]))
    : api.problem(call, answer, [token]);
}

function isAboutOrder({ own, status }: JsonAnswer): boolean {
  return own !== undefined && (status === 403 || status === 400);
}
