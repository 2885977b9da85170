import { describe, expect, it } from 'vitest';
import { mayHaveIssued, ProvisioningError } from '../../src/errors.ts';
import type {
  AdapterDefinition,
  ConnectContext,
  IssueRequest,
} from '../../src/plug-in/certificate-authority.ts';
import { checkedPlugIn, PlugInError } from '../../src/plug-in/checked-plug-in.ts';
import { collectFrom } from '../support/collect-from.ts';
import { connectContext } from '../support/connect-context.ts';
import { ScheduledClock } from '../support/scheduled-clock.ts';

const never = new AbortController().signal;
const request = {} as IssueRequest;
const bytes = new Uint8Array([0x30, 0x00]);
const secret = 'correct-horse-battery-staple';

const features = {
  idempotent: false,
  pending: true,
  revoke: true,
  keyTypes: ['ec'],
  mayDrop: [],
};
const right = {
  kind: 'mine',
  features,
  check: async () => undefined,
  issue: async () => undefined,
  collect: async () => undefined,
  revoke: async () => undefined,
  [Symbol.asyncDispose]: async () => undefined,
};

/** As it is loaded from ./my-ca.ts; nobody has checked its types. */
function plugIn(connect: unknown): AdapterDefinition {
  const definition = { kind: 'mine', options: {}, connect };
  return checkedPlugIn('./my-ca.ts', definition as unknown as AdapterDefinition);
}

const connected = (authority: unknown) =>
  plugIn(() => authority).connect({}, connectContext('.'), never);

async function problemOf(call: Promise<unknown>): Promise<string> {
  const error = await call.then(
    (value) => Promise.reject(new Error(`it went through: ${JSON.stringify(value)}`)),
    (caught: Error) => caught,
  );
  return error.message;
}

describe('what connect() of a plug-in gives back', () => {
  it.each<[string, unknown, string]>([
    ['nothing', undefined, 'undefined, expected an object with features, check, issue …'],
    ['a text', secret, 'a text of 28 characters, expected an object'],
    ['no issue', { ...right, issue: undefined }, 'nothing as issue, expected a function'],
    ['a text as check', { ...right, check: secret }, 'a text of 28 characters as check'],
    [
      'a number as prepare',
      { ...right, prepare: 1 },
      'the number 1 as prepare, expected a function',
    ],
    [
      'no dispose',
      { ...right, [Symbol.asyncDispose]: undefined },
      'nothing as [Symbol.asyncDispose]',
    ],
    ['no features', { ...right, features: undefined }, 'nothing as features, expected an object'],
    [
      'a text as a feature',
      { ...right, features: { ...features, idempotent: 'yes' } },
      'a text of 3 characters as features.idempotent, expected true or false',
    ],
    [
      'a type of key that there is not',
      { ...right, features: { ...features, keyTypes: ['ed25519'] } },
      "an array of 1 as features.keyTypes, expected an array of 'rsa' and 'ec'",
    ],
    [
      'no mayDrop',
      { ...right, features: { ...features, mayDrop: undefined } },
      'nothing as features.mayDrop, expected an array of subject, dns',
    ],
  ])('is told by its name: %s', async (_what, authority, expected) => {
    const problem = await problemOf(connected(authority));
    expect(problem).toContain(`./my-ca.ts connect() returned ${expected}`);
    expect(problem).not.toContain(secret);
  });

  it('may lack what nothing is built on, as plug-ins do that are older', async () => {
    const { collect: _collect, ...rest } = right;
    const old = { ...rest, features: { keyTypes: ['rsa'], mayDrop: [] } };
    const authority = await connected(old);
    expect(authority.features.idempotent).toBeFalsy();
    expect(authority.prepare).toBeUndefined();
    expect(authority.collect).toBeUndefined();
  });

  it('has a deadline', async () => {
    const clock = new ScheduledClock();
    const context = { ...connectContext('.'), clock };
    const problem = problemOf(
      plugIn(() => new Promise(() => undefined)).connect({}, context, never),
    );
    await clock.advance(30_000);
    expect(await problem).toMatch(/^\.\/my-ca\.ts connect\(\) did not end within 30 seconds\./);
  });

  it('fails in its own words', async () => {
    const fail = (thrown: unknown) => plugIn(() => Promise.reject(thrown));
    const connect = (thrown: unknown) => fail(thrown).connect({}, connectContext('.'), never);
    expect(await problemOf(connect(new Error('No licence.')))).toBe('No licence.');
    expect(await problemOf(connect(secret))).toBe(
      './my-ca.ts connect() threw a text of 28 characters instead of an error.',
    );
  });
});

const circular: Record<string, unknown> = {};
circular['itself'] = circular;
const issued = { kind: 'issued', certificate: bytes, chain: [] };
const pending = { kind: 'pending', ticket: 'a', pollAfterMs: 1_000 };

describe('what issue() and collect() of a plug-in give back', () => {
  it.each<[string, unknown, string]>([
    ['nothing', undefined, "undefined, expected an object whose kind is 'issued', 'pending' or"],
    ['a text', secret, 'a text of 28 characters, expected an object whose kind'],
    ['bytes', bytes, '2 bytes, expected an object whose kind'],
    ['a list', [issued], 'an array of 1, expected an object whose kind'],
    ['no kind', { certificate: bytes, secret }, 'an object with certificate, secret, expected'],
    ['a kind that there is not', { kind: 'isued' }, "an object with kind 'isued', expected"],
    ['a secret as its kind', { kind: `${secret} ` }, 'an object with kind, expected'],
    ['no certificate', { kind: 'issued', chain: [] }, 'nothing as certificate, expected DER'],
    [
      'PEM',
      { ...issued, certificate: '-----BEGIN CERTIFICATE-----\n…' },
      '29 characters (PEM) as certificate, expected DER as a Uint8Array (of PEM readCertificates()',
    ],
    ['no bytes', { ...issued, certificate: new Uint8Array() }, '0 bytes as certificate'],
    ['a promise', { ...issued, certificate: Promise.resolve(bytes) }, 'a promise as certificate'],
    ['no chain', { kind: 'issued', certificate: bytes }, 'nothing as chain, expected an array'],
    [
      'a text in the chain',
      { ...issued, chain: [bytes, 'x'] },
      'a text of 1 characters as chain[1]',
    ],
    [
      'a chain without an end',
      { ...issued, chain: Array.from({ length: 101 }, () => bytes) },
      'a chain of 101 certificates, 204 bytes, expected at most 100 and 1 MiB',
    ],
    ['no ticket', { ...pending, ticket: undefined }, 'nothing as ticket, expected plain JSON'],
    [
      'a function as ticket',
      { ...pending, ticket: () => 1 },
      'a function as ticket, expected plain',
    ],
    ['a ticket that holds itself', { ...pending, ticket: circular }, 'cannot be written as JSON'],
    ['a bigint', { ...pending, ticket: { id: 1n } }, 'a ticket that cannot be written as JSON'],
    [
      'a map',
      { ...pending, ticket: { a: new Map([[secret, 1]]) } },
      'a ticket with an empty object',
    ],
    ['bytes as ticket', { ...pending, ticket: bytes }, 'a ticket with 2 bytes in it'],
    ['an endless ticket', { ...pending, ticket: 'x'.repeat(1_048_575) }, 'at most 1 MiB'],
    ['no pause', { ...pending, pollAfterMs: undefined }, 'nothing as pollAfterMs, expected milli'],
    ['no number', { ...pending, pollAfterMs: Number.NaN }, 'the number NaN as pollAfterMs'],
    ['a pause before now', { ...pending, pollAfterMs: -1 }, 'the number -1 as pollAfterMs'],
    ['no reason', { kind: 'rejected' }, 'nothing as reason, expected the CA’s words as a text'],
  ])('is told by its name, and may hide a certificate: %s', async (_what, answer, expected) => {
    const authority = await connected({
      ...right,
      issue: () => answer,
      collect: async () => answer,
    });
    for (const [name, call] of [
      ['issue', () => authority.issue(request, never)],
      ['collect', () => collectFrom(authority, 'a', request, never)],
    ] as const) {
      const error = await call().catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(PlugInError);
      const { code, message } = error as PlugInError;
      expect(code).toBe('ca-bad-answer');
      expect(mayHaveIssued(error as PlugInError)).toBe(true);
      expect(message).toMatch(new RegExp(`^\\./my-ca\\.ts ${name}\\(\\) returned `));
      expect(message).toContain(expected);
      expect(message).not.toContain(secret);
    }
  });

  it.each([
    issued,
    { ...issued, certificate: Buffer.from(bytes), chain: [bytes] },
    pending,
    { ...pending, ticket: { at: new Date(0), again: undefined, list: [null, 1] }, pollAfterMs: 0 },
    { kind: 'rejected', reason: '' },
  ])('passes: %j', async (answer) => {
    const authority = await connected({ ...right, issue: async () => answer });
    expect(await authority.issue(request, never)).toBe(answer);
  });

  it('may say that an order is lost of a pending one alone, and with the reason', async () => {
    const lost = { kind: 'lost', reason: 'no such order' };
    const lostly = async (answer: object) =>
      connected({ ...right, issue: () => answer, collect: async () => answer });
    const authority = await lostly(lost);
    expect(await collectFrom(authority, 'ticket', request, never)).toBe(lost);
    const problem = { name: 'PlugInError', code: 'ca-bad-answer' };
    await expect(authority.issue(request, never)).rejects.toMatchObject(problem);
    const silent = await lostly({ kind: 'lost' });
    await expect(collectFrom(silent, 'ticket', request, never)).rejects.toMatchObject({
      ...problem,
      message: expect.stringContaining('nothing as reason'),
    });
  });
});

describe('a plug-in without collect()', () => {
  const { collect: _collect, ...without } = right;

  it.each([issued, { kind: 'rejected', reason: 'no' }])('decides at once: %j', async (answer) => {
    const authority = await connected({ ...without, issue: async () => answer });
    expect(await authority.issue(request, never)).toBe(answer);
  });

  it('must not leave an order pending', async () => {
    const authority = await connected({ ...without, issue: async () => pending });
    await expect(authority.issue(request, never)).rejects.toMatchObject({
      name: 'PlugInError',
      code: 'ca-bad-answer',
      message:
        "./my-ca.ts issue() returned kind 'pending' without a collect() that could ask after the order.",
    });
  });
});

describe('what prepare() of a plug-in gives back', () => {
  const attribute = { type: '1.2.840.113549.1.9.7', values: [bytes] };
  const extension = { type: '1.3.6.1.4.1.311.20.2', critical: false, value: bytes };

  it.each<[string, unknown, string]>([
    ['a text', 'x', 'a text of 1 characters, expected an object, which may be empty'],
    ['no list', { attributes: attribute }, 'as attributes, expected an array'],
    [
      'an attribute by its name',
      { attributes: [{ ...attribute, type: 'challengePassword' }] },
      'an object with type, values as attributes[0], expected type, an object identifier in dots',
    ],
    ['a text in it', { attributes: [{ ...attribute, values: [secret] }] }, 'as attributes[0]'],
    ['no critical', { extensions: [{ ...extension, critical: undefined }] }, 'as extensions[0]'],
    [
      'a usage that there is not',
      { keyUsages: ['sign'] },
      'as keyUsages, expected an array of digital',
    ],
    ['no JSON', { state: () => 1 }, 'a function as state, expected plain JSON'],
    [
      'seconds',
      { expiresAt: 1_764_403_200 },
      'as expiresAt, expected milliseconds since the epoch',
    ],
  ])('is told by its name: %s', async (_what, additions, expected) => {
    const authority = await connected({ ...right, prepare: async () => additions });
    const problem = await problemOf(authority.prepare?.(request, never) ?? Promise.resolve());
    expect(problem).toMatch(/^\.\/my-ca\.ts prepare\(\) returned /);
    expect(problem).toContain(expected);
    expect(problem).not.toContain(secret);
  });

  it.each([
    [undefined, {}],
    [{}, {}],
    [{ attributes: [attribute], extensions: [extension], expiresAt: 1_764_403_200_000 }, undefined],
  ])('passes: %j', async (additions, given = additions) => {
    const authority = await connected({ ...right, prepare: () => additions });
    expect(await authority.prepare?.(request, never)).toEqual(given);
  });
});

describe('what a plug-in throws', () => {
  const thrown = async (error: unknown, signal = never): Promise<unknown> => {
    const issue = () => {
      throw error;
    };
    const authority = await connected({ ...right, issue });
    return authority.issue(request, signal).catch((caught: unknown) => caught);
  };

  it('passes when it has a code of a CA, also in the class of another copy', async () => {
    const error = new ProvisioningError('ca-throttled', 'Later.', { retryAfterMs: 5 });
    expect(await thrown(error)).toBe(error);
    const other = Object.assign(new Error('Later.'), { ...error, name: 'ProvisioningError' });
    const translated = await thrown(other);
    expect(translated).toBeInstanceOf(ProvisioningError);
    expect(translated).toMatchObject({ code: 'ca-throttled', message: 'Later.', retryAfterMs: 5 });
  });

  it.each<[unknown, string, RegExp]>([
    [new TypeError('x is not a function'), 'ca-bad-answer', /without a code .*TypeError: x is not/],
    [secret, 'ca-bad-answer', /threw a text of 28 characters instead of an error/],
    [null, 'ca-bad-answer', /threw null instead of an error/],
    [new Error(`a\n${'b'.repeat(5_000)}`), 'ca-bad-answer', /^.{1,500}$/],
    [
      new TypeError('fetch failed', {
        cause: Object.assign(new Error(), { code: 'ECONNREFUSED' }),
      }),
      'ca-unavailable',
      /TypeError: fetch failed/,
    ],
    [
      new ProvisioningError('google-not-found', 'gone'),
      'ca-bad-answer',
      /whose code is none of a CA’s \(ca-unavailable, .*ProvisioningError: gone/,
    ],
    [new ProvisioningError('ca-down' as 'ca-rejected', 'x'), 'ca-bad-answer', /none of a CA’s/],
  ])('is told by its name: %s', async (error, code, expected) => {
    const found = await thrown(error);
    expect(found).toMatchObject({ name: 'PlugInError', code });
    const { message } = found as Error;
    expect(message).toMatch(/^\.\/my-ca\.ts issue\(\) threw /);
    expect(message).toMatch(expected);
    expect(message).not.toContain(secret);
  });

  it('is told without the secrets that it was given', async () => {
    const definition = plugIn(async (_options: unknown, { readSecret }: ConnectContext) => {
      const token = await readSecret({ env: 'TOKEN' });
      const issue = () => Promise.reject(new Error(`Not with ${token}`));
      return { ...right, issue };
    });
    const context = connectContext('.', { env: { TOKEN: secret } });
    const authority = await definition.connect({}, context, never);
    const problem = await problemOf(authority.issue(request, never));
    expect(problem).toContain('Error: Not with [a secret]');
  });

  it('passes as it is when the call was aborted', async () => {
    const reason = new Error('enough');
    expect(await thrown(reason, AbortSignal.abort(reason))).toBe(reason);
  });
});
