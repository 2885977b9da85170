import { z } from 'zod';
import type { ProvisioningError } from '../../src/errors.ts';
import type { Clock } from '../../src/time/clock.ts';
import type { HttpAnswer } from '../shared/http.ts';
import { quote } from '../shared/json-answer.ts';
import { jsonBody } from '../shared/json-body.ts';
import { serverWords } from '../shared/server-words.ts';
import { statusProblem } from '../shared/status-problem.ts';

/** The CA decided against the request itself. */
export class StepCaRefusal extends Error {
  override readonly name = 'StepCaRefusal';
}

const problem = z.object({ status: z.number().optional(), message: z.string() });

/** A 403 or 400 that every order would meet: settings of the provisioner, not this request. */
const settings = /duration|validity|notAfter|notBefore|template/i;

/**
 * Why an answer is no success (api/errors.go: { status, message }).
 *
 * @param secrets never repeated in messages.
 */
export function problemOf(
  answer: HttpAnswer,
  call: string,
  { clock, secrets }: { readonly clock: Clock; readonly secrets: readonly string[] },
): ProvisioningError | StepCaRefusal {
  const { status } = answer;
  const message = messageOf(answer);
  const isOwn = message !== undefined;
  const what = `step-ca answered ${status} to ${call}: ${isOwn ? quote(message, secrets) : serverWords(answer.body, secrets) || 'nothing'}`;
  const context = { what, isOwn, now: clock.now(), hint: 'Check url.' };
  if (status === 501) return statusProblem({ ...answer, status: 404 }, context);
  if (status === 401) {
    const hint =
      "The token was not accepted: compare provisioner, key, url (its host must be among the CA's dnsNames) and both clocks; the CA's log says more.";
    return statusProblem(answer, { ...context, hint });
  }
  if (!isOwn || (status !== 403 && status !== 400)) return statusProblem(answer, context);
  if (!settings.test(message)) return new StepCaRefusal(what);
  const hint =
    'Raise maxTLSCertDuration of the provisioner, set validity: provisioner, or mend its template.';
  return statusProblem(answer, { ...context, hint });
}

/** What step-ca itself says; undefined when it is somebody else who speaks. */
function messageOf({ body }: HttpAnswer): string | undefined {
  return problem.safeParse(jsonBody(body)).data?.message;
}
