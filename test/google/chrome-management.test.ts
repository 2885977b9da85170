import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { GoogleError } from '../../src/errors.ts';
import { Events } from '../../src/events/events.ts';
import { ChromeManagement } from '../../src/google/chrome-management.ts';
import { anonymous, type TokenSource } from '../../src/google-auth/credentials.ts';
import { CallBudget } from '../../src/time/call-budget.ts';
import { SkippingClock } from '../support/skipping-clock.ts';
import { fakeGoogle, json, type Reply, reset, silence } from './fake-google.ts';

const sample = JSON.parse(
  readFileSync(new URL('../fixtures/sign-data-sample.json', import.meta.url), 'utf8'),
);
const process = { customer: 'my_customer', processId: '0123456789abcdef0123456789abcdef' };
const path = `/v1/customers/my_customer/certificateProvisioningProcesses/${process.processId}`;
const never = new AbortController().signal;
const nothing = () => Promise.resolve();
const algorithm = 'SIGNATURE_ALGORITHM_ECDSA_SHA256';
const refusal = (code: number, status: string, message: string) =>
  json(code, { error: { code, status, message } });

async function errorOf(promise: Promise<unknown>): Promise<GoogleError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(GoogleError);
  return error as GoogleError;
}

describe('the six methods', () => {
  it('send what Google documents', async () => {
    await using google = await fakeGoogle([
      json(200, sample.beforeSignData),
      json(200, {}),
      json(200, sample.running),
      json(200, sample.succeeded),
      json(200, {}),
      json(200, {}),
    ]);
    expect(await google.api.get(process, never)).toMatchObject({ authority: 'default_ca_config' });
    await google.api.claim(process, 'instance 1', nothing, never);
    const data = new Uint8Array(Buffer.from('xdata')).subarray(1);
    const operation = await google.api.signData(process, data, algorithm, nothing, never);
    expect(operation).toEqual({ kind: 'running', name: sample.running.name });
    expect(await google.api.operation(operation.name, never)).toMatchObject({ kind: 'done' });
    await google.api.uploadCertificate(process, 'PEM', never);
    await google.api.setFailure(process, 'No. (x)', never);
    expect(
      google.seen.map(({ method, url, body }) => [method, url, body && JSON.parse(body)]),
    ).toEqual([
      ['GET', path, ''],
      ['POST', `${path}:claim`, { callerInstanceId: 'instance 1' }],
      ['POST', `${path}:signData`, { signData: 'ZGF0YQ==', signatureAlgorithm: algorithm }],
      ['GET', `/v1/${sample.running.name}`, ''],
      ['POST', `${path}:uploadCertificate`, { certificatePem: 'PEM' }],
      ['POST', `${path}:setFailure`, { errorMessage: 'No. (x)' }],
    ]);
    expect(google.seen[1]?.headers['user-agent']).toMatch(/^certprov\/\d/);
    expect(google.seen[1]?.headers['content-type']).toBe('application/json');
    expect(google.seen[0]?.headers).not.toHaveProperty('authorization');
    expect(google.seen.map(({ headers }) => headers['x-server-timeout'])).toEqual(
      google.seen.map(({ url }) => (url.endsWith(':signData') ? '4' : undefined)),
    );
    expect(google.statuses).toEqual([200, 200, 200, 200, 200, 200]);
  });

  it('take no other process’s answer for their own', async () => {
    await using google = await fakeGoogle([
      json(200, sample.beforeSignData),
      json(200, sample.running),
    ]);
    const other = { customer: 'my_customer', processId: 'p-2' };
    expect(await errorOf(google.api.get(other, never))).toMatchObject({
      code: 'google-bad-answer',
    });
    const data = new Uint8Array([1]);
    const call = google.api.signData(other, data, algorithm, nothing, never);
    expect(await errorOf(call)).toMatchObject({ code: 'google-bad-answer', unclear: true });
  });

  it('make no URL of ids that were not checked', async () => {
    await using google = await fakeGoogle([json(200, {})]);
    const evil = { customer: '..', processId: 'p' };
    await expect(google.api.get(evil, never)).rejects.toThrow(/not checked/);
    const name = `${sample.running.name}/../../x`;
    expect(await errorOf(google.api.operation(name, never))).toMatchObject({
      code: 'google-bad-answer',
    });
    expect(google.seen).toEqual([]);
  });

  it('never go over plain http to another machine', () => {
    const clock = new SkippingClock();
    const budget = new CallBudget({ requestsPerSecond: 1, clock });
    const rest = { tokens: anonymous, budget, events: new Events(), clock, random: () => 0 };
    expect(() => new ChromeManagement({ endpoint: 'http://google.example', ...rest })).toThrow(
      /https/,
    );
  });
});

const html =
  (status: number, headers: Record<string, string> = {}): Reply =>
  (response) =>
    response
      .writeHead(status, {
        'content-type': 'text/html',
        server: 'squid/5.7',
        via: '1.1 px',
        ...headers,
      })
      .end('<html><title>SECRET</title></html>');

describe('an error', () => {
  it.each([
    [400, 'INVALID_ARGUMENT', 'google-rejected', false],
    [400, 'FAILED_PRECONDITION', 'google-rejected', false],
    [401, 'UNAUTHENTICATED', 'google-unauthenticated', false],
    [403, 'PERMISSION_DENIED', 'google-forbidden', false],
    [404, 'NOT_FOUND', 'google-not-found', false],
    [408, undefined, 'google-unavailable', true],
    [409, 'ALREADY_EXISTS', 'google-rejected', false],
    [409, 'ABORTED', 'google-unavailable', true],
    [410, undefined, 'google-not-found', false],
    [413, undefined, 'google-unavailable', false],
    [429, 'RESOURCE_EXHAUSTED', 'google-throttled', false],
    [499, 'CANCELLED', 'google-unavailable', true],
    [500, 'INTERNAL', 'google-unavailable', true],
    [503, 'UNAVAILABLE', 'google-unavailable', true],
    [504, 'DEADLINE_EXCEEDED', 'google-unavailable', true],
  ])('of Google’s own, %i %s, is %s', async (status, name, code, unclear) => {
    const message = 'Google’s\n\u001b[31mwords';
    // What has no canonical name comes in Google's older form, if at all.
    const errors = name === undefined ? [{ domain: 'global', reason: 'x' }] : undefined;
    await using google = await fakeGoogle([
      json(status, { error: { code: status, status: name, message, errors } }),
    ]);
    const error = await errorOf(google.api.claim(process, 'i', nothing, never));
    expect(error).toMatchObject({ code, status, unclear });
    const said = name === undefined ? '' : ` ${name}`;
    expect(error.message).toContain(`claim: Google answered ${status}${said}: Google’s [31mwords`);
  });

  it.each([302, 400, 401, 403, 404, 407, 409, 410, 411, 413, 451])(
    'page with %i is nobody’s verdict, and says who answered',
    async (status) => {
      const tokens = new NumberedTokens();
      await using google = await fakeGoogle([html(status)], { tokens });
      for (const call of [
        google.api.claim(process, 'i', nothing, never),
        google.api.signData(process, new Uint8Array([1]), algorithm, nothing, never),
      ]) {
        const error = await errorOf(call);
        expect(error).toMatchObject({ code: 'google-intercepted', status, unclear: true });
        expect(error.message).toMatch(
          RegExp(
            `: something between us and Google answers: ${status} .*, server: squid/5.7, via: 1.1 px$`,
          ),
        );
        expect(error.message).not.toContain('SECRET');
      }
      expect(await errorOf(google.api.get(process, never))).toMatchObject({ unclear: false });
      expect(google.problems.length).toBe(3);
      expect(google.seen.length).toBe(3);
    },
  );

  it.each([408, 500, 502, 503, 504])('page with %i is an outage', async (status) => {
    await using google = await fakeGoogle([html(status)]);
    expect(await errorOf(google.api.claim(process, 'i', nothing, never))).toMatchObject({
      code: 'google-unavailable',
      unclear: true,
      message: expect.stringContaining(`answers: ${status}`),
    });
  });

  const notFound = { code: 404, message: 'gone', status: 'NOT_FOUND' };
  it.each<[string, string]>([
    ['nothing', ''],
    ['half of it', JSON.stringify({ error: notFound }).slice(0, -3)],
    ['another gateway’s JSON', '{"message":"no Route matched with those values"}'],
    ['a text where the error should be', '{"error":"Not Found"}'],
    ['a list', JSON.stringify([{ error: notFound }])],
    [
      'another gateway’s code and message, and no name',
      JSON.stringify({ error: { ...notFound, status: undefined } }),
    ],
    ['nothing but the code', '{"error":{"code":404}}'],
    ['a code of another status', JSON.stringify({ error: { ...notFound, code: 400 } })],
    ['a code that is a text', JSON.stringify({ error: { ...notFound, code: '404' } })],
    ['a name of another status', JSON.stringify({ error: { ...notFound, status: 'UNAVAILABLE' } })],
    [
      'a name that Google does not know',
      JSON.stringify({ error: { ...notFound, status: 'toString' } }),
    ],
    ['a message that is none', JSON.stringify({ error: { ...notFound, message: {} } })],
  ])('404 with %s is not Google’s', async (_what, body) => {
    await using google = await fakeGoogle([(response) => response.writeHead(404).end(body)]);
    expect(await errorOf(google.api.get(process, never))).toMatchObject({
      code: 'google-intercepted',
    });
  });

  it('quotes no more than a line', async () => {
    await using google = await fakeGoogle([
      refusal(400, 'INVALID_ARGUMENT', 'x'.repeat(10_000)),
      html(403, { server: 'y'.repeat(5_000) }),
    ]);
    expect((await errorOf(google.api.get(process, never))).message.length).toBeLessThan(500);
    expect((await errorOf(google.api.get(process, never))).message.length).toBeLessThan(300);
  });

  it.each([
    ['SERVICE_DISABLED', /Enable the Chrome Management API/],
    ['ACCESS_TOKEN_SCOPE_INSUFFICIENT', /lack the scope https/],
    ['USER_PROJECT_DENIED', /serviceUsageConsumer/],
    ['x', /In the Admin console allow the service account/],
  ])('403 with the reason %s says what to mend', async (reason, hint) => {
    const error = { code: 403, status: 'PERMISSION_DENIED', message: 'no', details: [{ reason }] };
    await using google = await fakeGoogle([json(403, { error })]);
    expect((await errorOf(google.api.get(process, never))).message).toMatch(hint);
    expect(google.problems[0]).toMatch(hint);
  });

  it('of a quota that Google reports with 403 is throttling', async () => {
    await using google = await fakeGoogle([refusal(403, 'PERMISSION_DENIED', 'rateLimitExceeded')]);
    expect(await errorOf(google.api.get(process, never))).toMatchObject({
      code: 'google-throttled',
    });
  });

  it.each<[string, Reply]>([
    ['a page', html(200)],
    ['no JSON', (response) => response.end('<html>')],
    ['nothing', (response) => response.end()],
    ['no object', (response) => response.end('"x"')],
    ['a list', json(200, [])],
    ['an error', json(200, { error: { code: 404, message: 'gone', status: 'NOT_FOUND' } })],
    ['more than a megabyte', (response) => response.end('x'.repeat(1_200_000))],
  ])('follows a 200 with %s', async (_what, reply) => {
    await using google = await fakeGoogle([reply]);
    expect(await errorOf(google.api.claim(process, 'i', nothing, never))).toMatchObject({
      code: 'google-intercepted',
      unclear: true,
    });
    expect(await errorOf(google.api.get(process, never))).toMatchObject({
      code: 'google-intercepted',
      unclear: false,
    });
  });
});

describe('a repeat', () => {
  it.each<[string, Reply]>([
    ['500', refusal(500, 'INTERNAL', 'x')],
    ['408', json(408, {})],
    ['429', json(429, {}, { 'retry-after': '2' })],
    ['a reset connection', reset],
    [
      'half an answer',
      (response) => {
        response.writeHead(200, { 'content-length': '100' });
        response.write('{');
        response.socket?.end();
      },
    ],
  ])('follows %s, with a pause', async (_what, reply) => {
    await using google = await fakeGoogle([reply, reply, json(200, {})]);
    await google.api.uploadCertificate(process, 'PEM', never);
    expect(google.seen.length).toBe(3);
    expect(google.clock.slept).toEqual(_what === '429' ? [2_000, 2_000] : [188, 375]);
  });

  it('is made twice at most', async () => {
    await using google = await fakeGoogle([refusal(503, 'UNAVAILABLE', 'x')]);
    await errorOf(google.api.get(process, never));
    expect(google.statuses).toEqual([503, 503, 503]);
  });

  it('is left to the caller when Google asks for more patience', async () => {
    await using google = await fakeGoogle([
      json(429, {}, { 'retry-after': '30' }),
      json(503, {}, { 'retry-after': new Date(1_700_000_000_000 + 60_000).toUTCString() }),
      json(503, {}, { 'retry-after': '99999999' }),
    ]);
    for (const retryAfterMs of [30_000, 60_000, 3_600_000]) {
      expect(await errorOf(google.api.get(process, never))).toMatchObject({ retryAfterMs });
    }
    expect(google.seen.length).toBe(3);
  });

  it('that is refused after a lost answer says that it may be the echo of success', async () => {
    await using google = await fakeGoogle([reset, refusal(400, 'FAILED_PRECONDITION', 'claimed')]);
    expect(await errorOf(google.api.claim(process, 'i', nothing, never))).toMatchObject({
      code: 'google-rejected',
      status: 400,
      unclear: true,
    });
  });

  it('that is refused after a clear refusal to serve is clear', async () => {
    await using google = await fakeGoogle([
      refusal(429, 'RESOURCE_EXHAUSTED', 'x'),
      refusal(400, 'FAILED_PRECONDITION', 'claimed'),
    ]);
    expect(await errorOf(google.api.claim(process, 'i', nothing, never))).toMatchObject({
      unclear: false,
    });
  });

  it('ends when the caller aborts', async () => {
    await using google = await fakeGoogle([silence]);
    const abort = new AbortController();
    const call = google.api.get(process, abort.signal);
    await expect.poll(() => google.seen.length).toBe(1);
    abort.abort(new Error('stop'));
    await expect(call).rejects.toThrow('stop');
    await expect(google.api.get(process, abort.signal)).rejects.toThrow('stop');
    expect(google.seen.length).toBe(1);
  });
});

describe('signData', () => {
  it.each<[string, Reply, boolean]>([
    ['500', refusal(500, 'INTERNAL', 'x'), true],
    ['a reset connection', reset, true],
    ['silence', silence, true],
    ['an answer that is not an operation', json(200, {}), true],
    ['429', refusal(429, 'RESOURCE_EXHAUSTED', 'x'), false],
    ['400', refusal(400, 'INVALID_ARGUMENT', 'x'), false],
    ['401 without credentials', refusal(401, 'UNAUTHENTICATED', 'x'), false],
  ])('is sent once and not again after %s', async (_what, reply, unclear) => {
    await using google = await fakeGoogle([reply], { deadlineMs: 300 });
    const data = new Uint8Array([1]);
    const error = await errorOf(google.api.signData(process, data, algorithm, nothing, never));
    expect(error.unclear).toBe(unclear);
    expect(google.seen.length).toBe(1);
  });

  it('is unclear, and not sent again, on a kept connection that died meanwhile', async () => {
    await using google = await fakeGoogle([json(200, {}), reset, json(200, sample.running)]);
    await google.api.claim(process, 'i', nothing, never);
    const data = new Uint8Array([1]);
    const error = await errorOf(google.api.signData(process, data, algorithm, nothing, never));
    expect(error).toMatchObject({ code: 'google-unavailable', unclear: true });
    expect(google.seen.length).toBe(2);
  });

  it('is clear when nobody listens', async () => {
    const google = await fakeGoogle([]);
    google.server.close();
    const data = new Uint8Array([1]);
    const error = await errorOf(google.api.signData(process, data, algorithm, nothing, never));
    expect(error).toMatchObject({ code: 'google-unavailable', unclear: false });
    await google.api[Symbol.asyncDispose]();
  });

  it('is not sent when what comes before it fails, which is asked again before a fresh token’s call', async () => {
    const tokens = new NumberedTokens();
    await using google = await fakeGoogle(
      [refusal(401, 'UNAUTHENTICATED', 'x'), json(200, sample.running)],
      { tokens },
    );
    let asked = 0;
    const refuse = () => Promise.reject(new Error('the lease is lost'));
    const data = new Uint8Array([1]);
    await expect(google.api.signData(process, data, algorithm, refuse, never)).rejects.toThrow(
      'the lease is lost',
    );
    expect(google.seen.length).toBe(0);
    const count = async () => {
      asked += 1;
    };
    await google.api.signData(process, data, algorithm, count, never);
    expect(asked).toBe(2);
    expect(google.seen.map(({ headers }) => headers.authorization)).toEqual([
      'Bearer 0',
      'Bearer 1',
    ]);
  });

  it('has its connection, and has sent nothing, while it is written down; then its bytes leave at once', async () => {
    await using google = await fakeGoogle([json(200, sample.running)], { deadlineMs: 1_000 });
    let connections = 0;
    let bytes = 0;
    google.server.on('connection', (socket) => {
      connections += 1;
      socket.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
    });
    let sentMeanwhile = -1;
    const write = async () => {
      // Longer than a call's deadline, which stands still.
      await sleep(1_100);
      expect(connections).toBe(1);
      sentMeanwhile = bytes;
    };
    await google.api.signData(process, new Uint8Array([1]), algorithm, write, never);
    expect(sentMeanwhile).toBe(0);
    expect(google.seen[0]?.headers['content-length']).toBe(String(google.seen[0]?.body.length));
    expect(google.seen[0]?.headers).not.toHaveProperty('transfer-encoding');
  });

  it('is clear when its connection dies, or it is given up, while it is written down', async () => {
    await using google = await fakeGoogle([json(200, sample.running)]);
    const data = new Uint8Array([1]);
    let finished = 0;
    const dies = async () => {
      google.server.closeAllConnections();
      await sleep(30);
      finished += 1;
    };
    const error = await errorOf(google.api.signData(process, data, algorithm, dies, never));
    expect([error.code, error.unclear, finished]).toEqual(['google-unavailable', false, 1]);
    const stop = new AbortController();
    const given = async () => stop.abort(new Error('the visit is over'));
    await expect(google.api.signData(process, data, algorithm, given, stop.signal)).rejects.toThrow(
      'the visit is over',
    );
    expect(google.seen.length).toBe(0);
  });
});

describe('a 401', () => {
  it('is answered once with a fresh token', async () => {
    const tokens = new NumberedTokens();
    await using google = await fakeGoogle([refusal(401, 'UNAUTHENTICATED', 'x')], { tokens });
    expect(await errorOf(google.api.get(process, never))).toMatchObject({
      code: 'google-unauthenticated',
    });
    expect(google.seen.map(({ headers }) => headers.authorization)).toEqual([
      'Bearer 0',
      'Bearer 1',
    ]);
  });
});

class NumberedTokens implements TokenSource {
  #number = 0;

  async header(): Promise<string> {
    return `Bearer ${this.#number}`;
  }

  invalidate(header: string): void {
    if (header === `Bearer ${this.#number}`) this.#number += 1;
  }
}
