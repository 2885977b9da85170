import { randomBytes } from 'node:crypto';
import type { Simulator } from '../../simulator/outside-world.ts';

/** Google's answer to one call, as a client sees it. */
export interface RestAnswer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into JSON of every shape
  readonly body: any;
}

/** A call for one process: `get`, `operations/0`, or a verb with its body. */
export async function call(
  simulator: Simulator,
  id: string,
  verb: 'get' | `operations/${number}` | 'claim' | 'signData' | 'uploadCertificate' | 'setFailure',
  body: Readonly<Record<string, unknown>> = {},
  customer = 'C01simul8',
): Promise<RestAnswer> {
  const root = `${simulator.restUrl}/v1/customers/${customer}/certificateProvisioningProcesses/${id}`;
  if (verb === 'get') return answerOf(await fetch(root));
  if (verb.startsWith('operations/')) return answerOf(await fetch(`${root}/${verb}`));
  return answerOf(await fetch(`${root}:${verb}`, { method: 'POST', body: JSON.stringify(body) }));
}

export async function answerOf(response: Response): Promise<RestAnswer> {
  return { status: response.status, body: await response.json() };
}

export const rsa = 'SIGNATURE_ALGORITHM_RSA_PKCS1_V1_5_SHA256';
export const ecdsa = 'SIGNATURE_ALGORITHM_ECDSA_SHA256';

export const someData = (): string => randomBytes(48).toString('base64');

/** Polls the first operation until it is done. */
export async function doneOperation(simulator: Simulator, id: string): Promise<RestAnswer['body']> {
  for (let looks = 0; looks < 1_000; looks += 1) {
    const { body } = await call(simulator, id, 'operations/0');
    if (body.done) return body;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error('the operation did not end');
}
