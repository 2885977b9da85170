import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Events } from '../../src/events/events.ts';
import { ChromeManagement } from '../../src/google/chrome-management.ts';
import { anonymous, type TokenSource } from '../../src/google-auth/credentials.ts';
import { CallBudget } from '../../src/time/call-budget.ts';
import { SkippingClock } from '../support/skipping-clock.ts';

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export type Reply = (response: ServerResponse, seen: Seen) => void;

export const json =
  (status: number, body: unknown, headers: Record<string, string> = {}): Reply =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(body));
  };

export const reset: Reply = (response) => {
  response.socket?.resetAndDestroy();
};

export const silence: Reply = () => undefined;

/** A server that answers with the given replies in turn (the last one for ever) and a client for it. */
export async function fakeGoogle(
  replies: readonly Reply[],
  options: { readonly tokens?: TokenSource; readonly deadlineMs?: number } = {},
) {
  const seen: Seen[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const { method = '', url = '', headers } = request;
    const one = { method, url, headers, body };
    const reply = replies[Math.min(seen.length, replies.length - 1)];
    seen.push(one);
    reply?.(response, one);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const clock = new SkippingClock();
  const events = new Events();
  const statuses: (number | 'error')[] = [];
  const problems: string[] = [];
  events.on('googleRequest', ({ status, problem }) => {
    statuses.push(status);
    if (problem !== undefined) problems.push(problem);
  });
  const api = new ChromeManagement({
    endpoint,
    tokens: options.tokens ?? anonymous,
    budget: new CallBudget({ requestsPerSecond: 1000, clock }),
    events,
    clock,
    random: () => 0.5,
    ...(options.deadlineMs === undefined ? {} : { deadlineMs: options.deadlineMs }),
  });
  return {
    api,
    clock,
    endpoint,
    seen,
    server,
    statuses,
    /** What /readyz is told. */
    problems,
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
