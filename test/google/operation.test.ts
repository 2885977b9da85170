import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { isOperationName, narrowOperation } from '../../src/google/operation.ts';

const sample = JSON.parse(
  readFileSync(new URL('../fixtures/sign-data-sample.json', import.meta.url), 'utf8'),
);
const { name } = sample.running;

describe('narrowing a signData operation', () => {
  it('reads Google’s published samples', () => {
    expect(narrowOperation(sample.running)).toEqual({ kind: 'running', name });
    const done = narrowOperation(sample.succeeded);
    expect(done).toMatchObject({ kind: 'done', name });
    expect(done.kind === 'done' && done.signature.length).toBe(256);
    expect(narrowOperation(sample.failed)).toEqual({
      kind: 'failed',
      name,
      code: 3,
      message: sample.failed.error.message,
    });
  });

  it.each([
    ['no object', null],
    ['no name', { done: false }],
    ['a name that leads elsewhere', { name: `${name}/../x` }],
    ['an end with an empty error', { name, done: true, error: {} }],
    ['an end with an error that is none', { name, done: true, error: { code: 0 } }],
    ['an end with a list for an error', { name, done: true, error: [] }],
    ['an end with both halves', { ...sample.succeeded, error: sample.failed.error }],
    [
      'a result of another process',
      {
        name,
        done: true,
        response: {
          certificateProvisioningProcess: {
            ...sample.succeeded.response.certificateProvisioningProcess,
            name: 'customers/C0/certificateProvisioningProcesses/other',
          },
        },
      },
    ],
    ['an end without a result', { name, done: true }],
    ['a result without a process', { name, done: true, response: {} }],
    [
      'a result without a signature',
      { name, done: true, response: { certificateProvisioningProcess: {} } },
    ],
    [
      'a signature that is not base64',
      { name, done: true, response: { certificateProvisioningProcess: { signature: '?' } } },
    ],
  ])('refuses %s as a bad answer', (_what, json) => {
    expect(() => narrowOperation(json)).toThrow(
      expect.objectContaining({ code: 'google-bad-answer', unclear: false }),
    );
  });

  it('takes no operation of another process, and any name of the customer', () => {
    const id = '0123456789abcdef0123456789abcdef';
    const mine = {
      ...sample.running,
      name: name.replace(/customers\/\w+/, 'customers/my_customer'),
    };
    expect(narrowOperation(mine, id).kind).toBe('running');
    expect(() => narrowOperation(sample.running, 'other')).toThrow(/another process/);
  });

  it('knows a safe operation name', () => {
    const process = 'customers/my_customer/certificateProvisioningProcesses/p-1';
    expect(isOperationName(`${process}/operations/lro.1~a_b-c`)).toBe(true);
    for (const id of ['', '.', '..', 'a/b', 'a:cancel', 'a?x', '%2e', 'a b', 'a\n']) {
      expect(isOperationName(`${process}/operations/${id}`), id).toBe(false);
    }
  });
});
