import webhook from '../../adapters/webhook/webhook.ts';
import { connectContext } from '../support/connect-context.ts';
import { WebhookService } from './doubles/webhook-service.ts';
import type { HttpHarness } from './http-harness.ts';

/** The kind `webhook` over a service that honours the requestId and does as a script says. */
export async function webhookHarness(): Promise<HttpHarness> {
  const secret = 'correct-horse-battery-staple';
  const service = await WebhookService.start([secret]);
  const options = webhook.options.parse({
    url: `${service.server.origin}/certprov`,
    healthUrl: `${service.server.origin}/health`,
    secret: { env: 'WEBHOOK_SECRET' },
    idempotent: true,
    revoke: true,
  });
  const context = connectContext('.', { env: { WEBHOOK_SECRET: secret } });
  const script = async (...words: typeof service.script) => void service.script.push(...words);
  const isOrder = ({ method }: { method: string }) => method === 'POST';
  return {
    connect: () => webhook.connect(options, context, new AbortController().signal),
    hooks: {
      pendThenIssue: () => script('pend', 'still', 'serve'),
      pendThenReject: () => script('pend', 'reject'),
      reject: () => script('reject'),
      async failOnce() {
        const body = `No database; the secret is ${secret}.`;
        service.server.misbehave({ status: 503, headers: { 'retry-after': '3' }, body }, isOrder);
      },
      async answerGarbage() {
        const body = { status: 'issued', certificatesPem: 'soon' };
        service.server.misbehave({ status: 200, body }, isOrder);
      },
      answerSlowly: async () => service.server.misbehave('slow', isOrder),
      async hang() {
        service.server.misbehave('hang', isOrder);
        return { reached: () => service.server.reached() };
      },
    },
    answerOrder: (answer) => service.server.misbehave(answer, isOrder),
    secrets: [secret, 's3cret'],
    roots: async () => [service.ca.root],
    validityAsAsked: true,
    leftovers: async () => service.server.held,
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  };
}
