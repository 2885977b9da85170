import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { DeviceSpecError } from './device-spec.ts';
import { FaultError } from './faults.ts';
import { BodyTooLarge, close, listen, readBody, sendJson } from './http.ts';
import type { Simulator } from './outside-world.ts';

const bodyLimitBytes = 64 * 1024;

type Managed = Pick<
  Simulator,
  | 'addDevices'
  | 'processes'
  | 'process'
  | 'summary'
  | 'forget'
  | 'faults'
  | 'setFaults'
  | 'breakStreams'
  | 'republish'
>;

/** A request that cannot be carried out, with the status to say so. */
class BadRequest extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The management port: JSON over HTTP, for people and scripts. README.md lists what it answers. */
export class ManagementServer implements AsyncDisposable {
  readonly #simulator: Managed;
  readonly #server: Server;

  constructor(simulator: Managed, onError: (error: unknown) => void) {
    this.#simulator = simulator;
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        if (!request.destroyed) onError(error);
        response.destroy();
      });
    });
  }

  listen(host: string, port: number): Promise<number> {
    return listen(this.#server, host, port);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return close(this.#server);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const path = (request.url ?? '').split('?')[0] ?? '';
      if (request.method === 'GET' && path === '/processes') {
        sendProcesses(response, this.#simulator.processes());
        return;
      }
      sendJson(response, 200, JSON.stringify(await this.#answer(request, path)));
    } catch (error) {
      const status = statusOf(error);
      if (status === undefined) throw error;
      const message = error instanceof Error ? error.message : String(error);
      const headers = status === 413 ? ['Connection', 'close'] : [];
      sendJson(response, status, JSON.stringify({ error: message }), headers);
    }
  }

  async #answer(request: IncomingMessage, path: string): Promise<unknown> {
    const simulator = this.#simulator;
    const id = /^\/processes\/([^/]+)$/.exec(path)?.[1];
    switch (`${request.method} ${id === undefined ? path : '/processes/{id}'}`) {
      case 'GET /processes/{id}':
        return known(simulator.process(id ?? ''), id);
      case 'DELETE /processes/{id}':
        if (!simulator.forget(id ?? '')) return known(undefined, id);
        return {};
      case 'POST /devices':
        // The schema in device-spec.ts decides whether it is one.
        return { processes: await simulator.addDevices((await readJson(request)) as object) };
      case 'GET /summary':
        return simulator.summary();
      case 'GET /faults':
        return simulator.faults();
      case 'POST /faults':
        simulator.setFaults(await readJson(request), windowOf(request));
        return simulator.faults();
      case 'POST /pubsub/break':
        simulator.breakStreams();
        return {};
      case 'POST /pubsub/republish':
        return { published: simulator.republish() };
      default:
        throw new BadRequest(
          404,
          'expected GET /processes, GET /summary, GET or DELETE /processes/{id}, POST /devices, GET or POST /faults, POST /pubsub/break, POST /pubsub/republish',
        );
    }
  }
}

/** `?forMs=3000`: for how long. */
function windowOf(request: IncomingMessage): number | undefined {
  const text = new URL(request.url ?? '', 'http://x').searchParams.get('forMs');
  if (text === null) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new BadRequest(400, 'forMs is a whole number of milliseconds');
}

function known<T>(process: T | undefined, id: string | undefined): T {
  if (process !== undefined) return process;
  throw new BadRequest(404, `there is no process ${JSON.stringify((id ?? '').slice(0, 80))}`);
}

async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  const body = await readBody(request, bodyLimitBytes);
  let parsed: unknown;
  try {
    parsed = body.length === 0 ? {} : JSON.parse(body.toString());
  } catch (error) {
    throw new BadRequest(400, `the body is not JSON: ${(error as Error).message}`);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new BadRequest(400, 'the body must be a JSON object');
  }
  return parsed as Record<string, unknown>;
}

function statusOf(error: unknown): number | undefined {
  if (error instanceof BadRequest) return error.status;
  if (error instanceof BodyTooLarge) return 413;
  if (error instanceof FaultError || error instanceof DeviceSpecError) return 400;
  return undefined;
}

/** A hundred thousand processes are too many for one string. */
function sendProcesses(response: ServerResponse, processes: readonly unknown[]): void {
  response.writeHead(200, { 'Content-Type': 'application/json; charset=UTF-8' });
  const sliceLength = 1_000;
  for (let at = 0; at < processes.length; at += sliceLength) {
    const slice = JSON.stringify(processes.slice(at, at + sliceLength));
    response.write(`${at === 0 ? '{"processes":[' : ','}${slice.slice(1, -1)}`);
  }
  response.end(processes.length === 0 ? '{"processes":[]}' : ']}');
}
