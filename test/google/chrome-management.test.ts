import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { GoogleError } from '../../src/errors.ts';
import { CallBudget } from '../../src/google/call-budget.ts';
import { ChromeManagement } from '../../src/google/chrome-management.ts';
import { anonymous, type TokenSource } from '../../src/google/credentials.ts';
import { Events } from '../../src/telemetry/events.ts';
import { fakeGoogle, json, type Reply, reset, silence } from './fake-google.ts';
import { SkippingClock } from './skipping-clock.ts';

const sample = JSON.parse(
  readFileSync(new URL('../fixtures/sign-data-sample.json', import.meta.url), 'utf8'),
);
const process = { customer: 'my_customer', processId: 'p-1' };
const path = '/v1/customers/my_customer/certificateProvisioningProcesses/p-1';
const never = new AbortController().signal;
const noGuard = () => undefined;
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
    await google.api.claim(process, 'instance 1', never);
    const data = new Uint8Array(Buffer.from('xdata')).subarray(1);
    const operation = await google.api.signData(process, data, algorithm, noGuard, never);
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

describe('an error', () => {
  it.each([
    [400, 'google-rejected', false],
    [401, 'google-unauthenticated', false],
    [403, 'google-forbidden', false],
    [404, 'google-not-found', false],
    [409, 'google-rejected', false],
    [410, 'google-not-found', false],
    [302, 'google-bad-answer', true],
    [408, 'google-unavailable', true],
    [429, 'google-throttled', false],
    [500, 'google-unavailable', true],
    [503, 'google-unavailable', true],
  ])('of status %i is %s', async (status, code, unclear) => {
    await using google = await fakeGoogle([refusal(status, 'STATUS', 'Google’s\n\u001b[31mwords')]);
    const error = await errorOf(google.api.claim(process, 'i', never));
    expect(error).toMatchObject({ code, status, unclear });
    expect(error.message).toBe(`claim: Google answered ${status} STATUS: Google’s [31mwords`);
  });

  it('quotes no more than a line, and nothing of a proxy’s page', async () => {
    await using google = await fakeGoogle([
      refusal(400, 'S', 'x'.repeat(10_000)),
      (response) => response.writeHead(403).end('<html>secret</html>'),
    ]);
    expect((await errorOf(google.api.get(process, never))).message.length).toBeLessThan(500);
    expect((await errorOf(google.api.get(process, never))).message).not.toContain('secret');
  });

  it('of a quota that Google reports with 403 is throttling', async () => {
    await using google = await fakeGoogle([refusal(403, 'X', 'rateLimitExceeded')]);
    expect(await errorOf(google.api.get(process, never))).toMatchObject({
      code: 'google-throttled',
    });
  });

  it.each<[string, Reply]>([
    ['no JSON', (response) => response.end('<html>')],
    ['nothing', (response) => response.end()],
    ['no object', (response) => response.end('"x"')],
    ['more than a megabyte', (response) => response.end('x'.repeat(1_200_000))],
  ])('follows a 200 with %s', async (_what, reply) => {
    await using google = await fakeGoogle([reply]);
    expect(await errorOf(google.api.claim(process, 'i', never))).toMatchObject({
      code: 'google-bad-answer',
      unclear: true,
    });
    expect(await errorOf(google.api.get(process, never))).toMatchObject({
      code: 'google-bad-answer',
      unclear: false,
    });
  });
});

describe('a repeat', () => {
  it.each<[string, Reply]>([
    ['500', json(500, {})],
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
    await using google = await fakeGoogle([json(503, {})]);
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
    await using google = await fakeGoogle([reset, refusal(400, 'S', 'claimed')]);
    expect(await errorOf(google.api.claim(process, 'i', never))).toMatchObject({
      code: 'google-rejected',
      status: 400,
      unclear: true,
    });
  });

  it('that is refused after a clear refusal to serve is clear', async () => {
    await using google = await fakeGoogle([json(429, {}), refusal(400, 'S', 'claimed')]);
    expect(await errorOf(google.api.claim(process, 'i', never))).toMatchObject({ unclear: false });
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
    ['500', json(500, {}), true],
    ['a reset connection', reset, true],
    ['silence', silence, true],
    ['an answer that is not an operation', json(200, {}), true],
    ['429', json(429, {}), false],
    ['400', json(400, {}), false],
    ['401 without credentials', json(401, {}), false],
  ])('is sent once and not again after %s', async (_what, reply, unclear) => {
    await using google = await fakeGoogle([reply], { deadlineMs: 300 });
    const data = new Uint8Array([1]);
    const error = await errorOf(google.api.signData(process, data, algorithm, noGuard, never));
    expect(error.unclear).toBe(unclear);
    expect(google.seen.length).toBe(1);
  });

  it('is unclear, and not sent again, on a kept connection that died meanwhile', async () => {
    await using google = await fakeGoogle([json(200, {}), reset, json(200, sample.running)]);
    await google.api.claim(process, 'i', never);
    const data = new Uint8Array([1]);
    const error = await errorOf(google.api.signData(process, data, algorithm, noGuard, never));
    expect(error).toMatchObject({ code: 'google-unavailable', unclear: true });
    expect(google.seen.length).toBe(2);
  });

  it('is clear when nobody listens', async () => {
    const google = await fakeGoogle([]);
    google.server.close();
    const data = new Uint8Array([1]);
    const error = await errorOf(google.api.signData(process, data, algorithm, noGuard, never));
    expect(error).toMatchObject({ code: 'google-unavailable', unclear: false });
    await google.api[Symbol.asyncDispose]();
  });

  it('is not sent when the guard throws, and asks it again before the repeat with a fresh token', async () => {
    const tokens = new NumberedTokens();
    await using google = await fakeGoogle([json(401, {}), json(200, sample.running)], { tokens });
    let asked = 0;
    const refuse = () => {
      throw new Error('the lease is lost');
    };
    const data = new Uint8Array([1]);
    await expect(google.api.signData(process, data, algorithm, refuse, never)).rejects.toThrow(
      'the lease is lost',
    );
    expect(google.seen.length).toBe(0);
    const count = () => {
      asked += 1;
    };
    await google.api.signData(process, data, algorithm, count, never);
    expect(asked).toBe(2);
    expect(google.seen.map(({ headers }) => headers.authorization)).toEqual([
      'Bearer 0',
      'Bearer 1',
    ]);
  });
});

describe('a 401', () => {
  it('is answered once with a fresh token', async () => {
    const tokens = new NumberedTokens();
    await using google = await fakeGoogle([json(401, {})], { tokens });
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
