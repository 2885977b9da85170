import { decodeBase64 } from '../claim/process.ts';
import { GoogleError } from '../errors.ts';
import type { SignDataOperation } from './provisioning-api.ts';

/** Segments hold nothing that could lead out of the path; the operation's own id may hold a little more. */
const operationName =
  /^customers\/[\w-]{1,200}\/certificateProvisioningProcesses\/[\w-]{1,200}\/operations\/(?!\.{1,2}$)[\w.~-]{1,200}$/;

/** The name comes from Google, and becomes part of a URL all the same. */
export function isOperationName(name: string): boolean {
  return operationName.test(name);
}

/**
 * Narrows Google's long-running operation of signData.
 *
 * @throws {GoogleError} `google-bad-answer` for what is not the documented JSON, and for an operation that
 * is done without saying how it ended.
 */
export function narrowOperation(json: unknown): SignDataOperation {
  const operation = memberObject({ json }, 'json') ?? bad('it is not an object');
  const name = operation['name'];
  if (typeof name !== 'string' || !isOperationName(name))
    return bad('its name is not of the known form');
  if (operation['done'] !== true) return { kind: 'running', name };
  const error = memberObject(operation, 'error');
  if (error !== undefined) {
    const { code, message } = error;
    return {
      kind: 'failed',
      name,
      code: typeof code === 'number' ? code : 2,
      message: typeof message === 'string' ? message : '',
    };
  }
  const response = memberObject(operation, 'response') ?? bad('it is done without a result');
  const process =
    memberObject(response, 'certificateProvisioningProcess') ?? bad('its result has no process');
  const text = process['signature'];
  const signature = typeof text === 'string' && text !== '' ? decodeBase64(text) : undefined;
  return signature === undefined
    ? bad('its signature is not base64')
    : { kind: 'done', name, signature };
}

type Json = Readonly<Record<string, unknown>>;

function memberObject(json: Json, key: string): Json | undefined {
  const value = json[key];
  return isObject(value) ? value : undefined;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function bad(problem: string): never {
  throw new GoogleError(
    'google-bad-answer',
    `Google’s signData operation cannot be read: ${problem}.`,
    { unclear: false },
  );
}
