import { z } from 'zod';
import type { Clock } from '../../src/clock.ts';
import { ProvisioningError } from '../../src/errors.ts';
import { type HttpAnswer, retryAfterOf } from '../shared/http.ts';
import { quote } from '../shared/json-answer.ts';

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
  const said = `step-ca answered ${status} to ${call}: ${quote(messageOf(answer), secrets)}`;
  if (status === 429) return new ProvisioningError('ca-throttled', said, pauseOf(answer, clock));
  if (status === 501 || (status >= 300 && status < 400)) {
    return new ProvisioningError('ca-misconfigured', `${said}. Check url.`);
  }
  if (status >= 500) {
    return new ProvisioningError('ca-unavailable', said, pauseOf(answer, clock));
  }
  if (status === 401) {
    return new ProvisioningError(
      'ca-misconfigured',
      `${said}. The token was not accepted: compare provisioner, key, url (its host must be among the CA's dnsNames) and both clocks; the CA's log says more.`,
    );
  }
  if (status === 403 || status === 400) {
    return settings.test(said)
      ? new ProvisioningError(
          'ca-misconfigured',
          `${said}. Raise maxTLSCertDuration of the provisioner, set validity: provisioner, or mend its template.`,
        )
      : new StepCaRefusal(said);
  }
  return new ProvisioningError(
    status >= 400 ? 'ca-misconfigured' : 'ca-bad-answer',
    `${said}. Check url.`,
  );
}

function pauseOf({ headers }: HttpAnswer, clock: Clock): { retryAfterMs?: number } {
  const retryAfterMs = retryAfterOf(headers, clock.now());
  return retryAfterMs === undefined ? {} : { retryAfterMs };
}

function messageOf({ body }: HttpAnswer): string {
  try {
    return problem.parse(JSON.parse(body.toString('utf8'))).message;
  } catch {
    return 'no message that could be read'; // Perhaps a proxy's page; its status says enough.
  }
}
