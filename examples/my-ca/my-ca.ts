import {
  defineAdapter,
  encodePem,
  type Issuance,
  type IssueRequest,
  issuedAnswer,
  ProvisioningError,
  readCertificate,
  readCertificates,
  secretReference,
  z,
} from 'certprov';

export default defineAdapter({
  kind: 'my-ca',
  options: z.strictObject({
    url: z.url({ protocol: /^https?$/ }).describe('Where the CA is, with a final slash.'),
    token: secretReference.describe('Sent as the bearer token.'),
  }),
  async connect({ url, token }, context) {
    const secret = await context.readSecret(token);
    const closing = new AbortController();

    /** Gives the text of the answer; 409 says that it was done before. */
    async function call(path: string, order: object | undefined, outer: AbortSignal) {
      const signal = AbortSignal.any([outer, closing.signal]);
      signal.throwIfAborted();
      const headers = { authorization: `Bearer ${secret}` };
      const post = { method: 'POST', body: JSON.stringify(order) };
      const init = { ...(order && post), headers, signal, redirect: 'error' } as const;
      const { status, text } = await fetch(new URL(path, url), init)
        .then(async (response) => ({ status: response.status, text: await limited(response) }))
        .catch((cause: unknown) => {
          signal.throwIfAborted();
          throw new ProvisioningError('ca-unavailable', 'The CA does not answer.', { cause });
        });
      if (status === 200 || status === 202 || status === 409) return text;
      const said = text.replaceAll(secret, '[token]').slice(0, 200);
      const passes = status >= 500 || status === 429;
      const code = passes ? 'ca-unavailable' : 'ca-misconfigured';
      throw new ProvisioningError(code, `The CA answered ${status}: ${said}`);
    }

    return {
      kind: 'my-ca',
      features: {
        idempotent: true, // The CA gives one certificate for one order id.
        pending: true,
        revoke: true,
        keyTypes: ['rsa', 'ec'],
        mayDrop: [],
      },
      check: async (signal) => void (await call('status', undefined, signal)),
      async issue(request, signal) {
        const csr = encodePem('CERTIFICATE REQUEST', request.csr);
        const { validityDays: days, template: profile } = request.wanted;
        const order = { id: request.requestId, csr, days, profile };
        return issuance(await call('orders', order, signal), request);
      },
      async collect(ticket, request, signal) {
        const path = `orders/${encodeURIComponent(String(ticket))}`;
        return issuance(await call(path, undefined, signal), request);
      },
      async revoke(certificate, reason, signal) {
        const { serialNumber } = readCertificate(certificate);
        await call('revocations', { serialNumber, reason }, signal);
      },
      async [Symbol.asyncDispose]() {
        closing.abort(new Error('The CA was disposed of.'));
      },
    };
  },
});

const answerSchema = z.discriminatedUnion('state', [
  z.object({ state: z.literal('issued'), pem: z.string() }),
  z.object({ state: z.literal('waiting'), order: z.string(), seconds: z.number().positive() }),
  z.object({ state: z.literal('refused'), why: z.string() }),
]);

function issuance(text: string, request: IssueRequest): Issuance {
  try {
    const answer = answerSchema.parse(JSON.parse(text));
    if (answer.state === 'issued') return issuedAnswer(readCertificates(answer.pem), request);
    if (answer.state === 'refused') return { kind: 'rejected', reason: answer.why };
    return { kind: 'pending', ticket: answer.order, pollAfterMs: answer.seconds * 1_000 };
  } catch (cause) {
    throw new ProvisioningError('ca-bad-answer', 'The CA’s answer cannot be read.', { cause });
  }
}

async function limited({ body }: Response): Promise<string> {
  let text = '';
  for await (const chunk of body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk;
    if (text.length > 1_000_000) throw new Error('The answer is too long.');
  }
  return text;
}
