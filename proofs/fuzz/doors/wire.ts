import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import fc from 'fast-check';
import { GoogleError } from '../../../src/errors.ts';
import { Events } from '../../../src/events/events.ts';
import { ChromeManagement } from '../../../src/google/chrome-management.ts';
import { anonymous } from '../../../src/google-auth/credentials.ts';
import { CallBudget } from '../../../src/time/call-budget.ts';
import { systemClock } from '../../../src/time/clock.ts';
import { bytesOf, type Door } from '../door.ts';

const reference = { customer: 'C01', processId: '0123456789abcdef' };
const name = `customers/C01/certificateProvisioningProcesses/${reference.processId}`;

function answer(status: string, headers: readonly string[], body: string): Uint8Array {
  const length = `Content-Length: ${Buffer.byteLength(body)}`;
  return bytesOf([`HTTP/1.1 ${status}`, ...headers, length, '', body].join('\r\n'));
}

const json = 'Content-Type: application/json';
const chunked = `HTTP/1.1 200 OK\r\n${json}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`;
const answers = [
  answer('200 OK', [json], JSON.stringify({ name })),
  answer('200 OK', [json], JSON.stringify({ name: `${name}/operations/0`, done: false })),
  answer('200 OK', [json, 'Content-Encoding: gzip'], '{}'),
  answer('404 Not Found', [json], '{"error":{"code":404,"message":"gone","status":"NOT_FOUND"}}'),
  answer('429 Too Many Requests', ['Retry-After: 1'], ''),
  answer('503 Service Unavailable', ['Retry-After: Fri, 31 Dec 2100 23:59:59 GMT'], '<html>'),
  answer('302 Found', ['Location: http://127.0.0.1:1/'], ''),
  answer('100 Continue', [], ''),
  bytesOf(chunked),
  ...['null', '[]', '"text"', '{"error":null}'].map((body) => answer('200 OK', [json], body)),
];

/** The first byte chooses the call; the others are what the server writes before it hangs up. */
const calls = ['get', 'claim', 'signData', 'operation', 'uploadCertificate', 'setFailure'] as const;

/** What comes over the wire in place of Google's answer. */
export async function wire(): Promise<Door> {
  const server = new RawServer();
  const port = await server.listen();
  const api = new ChromeManagement({
    endpoint: `http://127.0.0.1:${port}`,
    tokens: anonymous,
    budget: new CallBudget({ requestsPerSecond: 1e6, clock: systemClock }),
    events: new Events(),
    // Pauses between attempts pass at once; deadlines are real.
    clock: { now: () => systemClock.now(), sleep: () => Promise.resolve() },
    random: () => 0.5,
    // Short, since many answers have no end.
    deadlineMs: 100,
  });
  const signal = new AbortController().signal;
  const enter = async (call: (typeof calls)[number]): Promise<string> => {
    switch (call) {
      case 'get':
        return (await api.get(reference, signal)).name;
      case 'operation':
        return (await api.operation(`${name}/operations/0`, signal)).kind;
      case 'signData': {
        const algorithm = 'SIGNATURE_ALGORITHM_ECDSA_SHA256';
        return (
          await api.signData(reference, Buffer.alloc(9), algorithm, () => Promise.resolve(), signal)
        ).kind;
      }
      case 'claim':
        await api.claim(reference, 'fuzz', () => Promise.resolve(), signal);
        return 'claimed';
      case 'uploadCertificate':
        await api.uploadCertificate(reference, 'pem', signal);
        return 'uploaded';
      case 'setFailure':
        await api.setFailure(reference, 'text', signal);
        return 'told';
    }
  };
  return {
    name: 'wire',
    form: 'text',
    seeds: answers.flatMap((bytes) =>
      calls.map((_call, index) => Buffer.concat([Uint8Array.of(index), bytes])),
    ),
    dictionary: [
      'HTTP/1.1 ',
      'HTTP/1.0 ',
      'HTTP/9.9 ',
      '\r\n',
      '\n',
      '\r\n\r\n',
      'Transfer-Encoding: chunked\r\n',
      'Content-Length: 99999999999\r\n',
      'Content-Length: -1\r\n',
      'Connection: upgrade\r\nUpgrade: x\r\n',
      'Retry-After: 99999999999999\r\n',
      'fffffffff\r\n',
      '200 OK',
      '401 ',
      '500 ',
      '999 ',
      '{"error":{"status":{},"message":[]}}',
      'null',
      '[]',
    ],
    generated: fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.json().map((body) => Buffer.concat([Uint8Array.of(0), answer('200 OK', [json], body)])),
    ),
    enter(input) {
      server.answer = input.subarray(1);
      return enter(calls[(input[0] ?? 0) % calls.length] ?? 'get');
    },
    isRefusal: (error) => error instanceof GoogleError,
    async close() {
      await api[Symbol.asyncDispose]();
      await server.close();
    },
  };
}

/** Answers each request with the same bytes and hangs up. */
class RawServer {
  answer: Uint8Array = new Uint8Array();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor() {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      // The client may hang up first, that is its right.
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end(this.answer));
    });
  }

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('There is no port.');
    return address.port;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
