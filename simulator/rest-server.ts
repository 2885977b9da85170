import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isRecord } from '../src/words/record.ts';
import type { Agenda } from './agenda.ts';
import type { Faults, Method, SwitchChoice, Trouble } from './faults.ts';
import { type Answer, failed, type Google, notFound } from './google.ts';
import { BodyTooLarge, close, listen, readBody, sendJson } from './http.ts';
import type { SimulatedProcess } from './simulated-process.ts';

const bodyLimitBytes = 256 * 1024;

const route =
  /^\/v1\/customers\/([^/]+)\/certificateProvisioningProcesses\/([^/:?]+)(?::(claim|signData|uploadCertificate|setFailure)|\/operations\/([^/?]+))?(?:\?.*)?$/;

export interface RestParts {
  readonly google: Google;
  readonly faults: Faults;
  readonly agenda: Agenda;
  /** How long the fault `timeout` holds a connection, and the fault `late` an answer, in ms. */
  readonly holdMs: number;
  readonly lateMs: number;
  readonly retryAfterSeconds: number;
  find(id: string): SimulatedProcess | undefined;
  onError(error: unknown): void;
}

interface Call {
  readonly method: Method;
  readonly process: SimulatedProcess;
  readonly operation: string | undefined;
}

/**
 * Google's REST surface over plain HTTP/1.1. It is also the floor that a benchmark compares with, so a request
 * costs one regular expression, one parse and one write.
 */
export class RestServer implements AsyncDisposable {
  readonly #parts: RestParts;
  readonly #server: Server;

  constructor(parts: RestParts) {
    this.#parts = parts;
    this.#server = createServer(
      { keepAliveTimeout: 60_000, noDelay: true },
      (request, response) => {
        this.#serve(request, response).catch((error: unknown) => {
          // The caller hung up while its body was on the way: nothing is left to answer.
          if (!request.destroyed) parts.onError(error);
        });
      },
    );
  }

  listen(host: string, port: number): Promise<number> {
    return listen(this.#server, host, port);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return close(this.#server);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = this.#find(request);
    let body: Buffer | undefined;
    try {
      if (request.method === 'POST') body = await readBody(request, bodyLimitBytes);
    } catch (error) {
      if (!(error instanceof BodyTooLarge)) throw error;
      const answer = failed(413, 'The request is too large.');
      sendJson(response, answer.status, answer.body, ['Connection', 'close']);
      return;
    }
    const access = this.#parts.faults.choice('restAccess');
    if ('process' in call && this.#intercepts(call.method))
      sendStranger(response, this.#parts.faults);
    else if (!('process' in call)) sendAnswer(response, call);
    else if (access !== 'granted') {
      call.process.calls[call.method] += 1;
      sendAnswer(response, failed(access, 'The caller does not have permission.'));
    } else this.#answer(call, body, response);
  }

  #intercepts(method: Method): boolean {
    const { faults } = this.#parts;
    const only = faults.choice('interceptedMethod');
    return faults.choice('intercepted') !== 'off' && (only === 'all' || only === method);
  }

  #find(request: IncomingMessage): Call | Answer {
    const matched = route.exec(request.url ?? '');
    if (matched === null) return failed(404, 'The requested URL was not found on this server.');
    const [, customer, id = '', verb, operation] = matched;
    const isPost = request.method === 'POST';
    if (isPost !== (verb !== undefined) || (!isPost && request.method !== 'GET')) {
      return failed(404, 'There is no such method on this resource.');
    }
    const process = this.#parts.find(id);
    if (process === undefined) return notFound(id);
    if (customer !== 'my_customer' && customer !== process.spec.customer) return notFound(id);
    const reading = operation === undefined ? 'get' : 'operation';
    return { method: verb === undefined ? reading : (verb as Method), process, operation };
  }

  #answer(call: Call, body: Buffer | undefined, response: ServerResponse): void {
    const { method, process } = call;
    const { faults, agenda, holdMs, lateMs } = this.#parts;
    const turn = process.calls[method];
    process.calls[method] += 1;
    const trouble = faults.trouble(method, process.index, turn);
    if (trouble === undefined) {
      sendAnswer(response, this.#carryOut(call, body));
      return;
    }
    switch (trouble) {
      case '429':
      case '500':
      case '503':
        this.#refuse(trouble, response);
        return;
      case 'timeout':
        agenda.after(holdMs, () => response.socket?.destroy());
        return;
      case 'resetBefore':
        response.socket?.resetAndDestroy();
        return;
      case 'lostAnswer':
        this.#carryOut(call, body);
        response.socket?.resetAndDestroy();
        return;
      case 'late': {
        const answer = this.#carryOut(call, body);
        agenda.after(lateMs, () => sendAnswer(response, answer));
      }
    }
  }

  #refuse(trouble: Trouble & `${number}`, response: ServerResponse): void {
    const answer = failed(Number(trouble), `The fault ${trouble} happened to this call.`);
    const { retryAfterSeconds } = this.#parts;
    const hint = trouble === '429' ? ['Retry-After', String(retryAfterSeconds)] : [];
    sendJson(response, answer.status, answer.body, hint);
  }

  #carryOut(call: Call, body: Buffer | undefined): Answer {
    const parsed = body === undefined ? {} : parseObject(body);
    if (parsed === undefined) return failed(400, 'Invalid JSON payload received.');
    return this.#parts.google.carryOut(call.method, call.process, call.operation, parsed);
  }
}

/** What a proxy, a captive portal or a load balancer says in Google's place. */
function sendStranger(response: ServerResponse, faults: Faults): void {
  const status = Number(faults.choice('intercepted'));
  const body = strangersBody(status, faults.choice('interceptedBody'));
  response.writeHead(status, {
    'Content-Type': body.startsWith('<') ? 'text/html' : 'application/json',
    'Content-Length': Buffer.byteLength(body),
    Server: 'squid/5.7',
    Via: '1.1 simulated-proxy (squid/5.7)',
    ...(status === 302 ? { Location: 'http://portal.invalid/login' } : {}),
    ...(status === 407 ? { 'Proxy-Authenticate': 'Basic realm="simulated"' } : {}),
  });
  response.end(body);
}

export function strangersBody(status: number, kind: SwitchChoice<'interceptedBody'>): string {
  switch (kind) {
    case 'html':
      return `<!DOCTYPE html><html><head><title>${status}</title></head><body><h1>${status}</h1></body></html>\n`;
    case 'empty':
      return '';
    case 'cut': {
      const whole = failed(status, 'Cut off on the way.').body;
      return whole.slice(0, whole.length / 2);
    }
    case 'list':
      return '[]';
    case 'foreign':
      return '{"message":"no Route matched with those values","request_id":"1"}';
  }
}

function sendAnswer(response: ServerResponse, answer: Answer): void {
  sendJson(response, answer.status, answer.body);
}

function parseObject(body: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const parsed: unknown = JSON.parse(body.toString());
    return isRecord(parsed) ? parsed : undefined;
  } catch {
    // Not JSON: the caller is told so.
    return undefined;
  }
}
