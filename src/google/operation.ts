import { GoogleError } from '../errors.ts';
import { isRecord } from '../words/record.ts';
import { decodeBase64 } from './process.ts';
import type { SignDataOperation } from './provisioning-api.ts';

/** Segments hold nothing that could lead out of the path; the operation's own id may hold a little more. */
const operationName =
  /^customers\/[\w-]{1,200}\/certificateProvisioningProcesses\/[\w-]{1,200}\/operations\/(?!\.{1,2}$)[\w.~-]{1,200}$/;

/** The name comes from Google, but it becomes part of a URL. */
export function isOperationName(name: string): boolean {
  return operationName.test(name);
}

/** The id of the process that a resource's name belongs to: a process's own, or that of one of its operations. */
export function processIdOf(name: string): string | undefined {
  return /^customers\/[^/]+\/certificateProvisioningProcesses\/([^/]+)(?:\/operations\/[^/]+)?$/.exec(
    name,
  )?.[1];
}

/**
 * Narrows Google's long-running operation of signData.
 *
 * @param processId the process it has to belong to; the customer may be named in another way than we did
 * @throws {GoogleError} `google-bad-answer` for what is not the documented JSON, for another process's operation, and
 *   for one that is done without saying outright how it ended: the process itself has to be looked at.
 */
export function narrowOperation(json: unknown, processId?: string): SignDataOperation {
  const operation = memberObject({ json }, 'json') ?? bad('it is not an object');
  const name = operation['name'];
  if (typeof name !== 'string' || !isOperationName(name))
    return bad('its name is not of the known form');
  if (processId !== undefined && processIdOf(name) !== processId) {
    return bad('it is another process’s');
  }
  if (operation['done'] !== true) return { kind: 'running', name };
  const error = operation['error'] ?? undefined;
  if (error !== undefined) {
    if ((operation['response'] ?? undefined) !== undefined) bad('it has a result and an error');
    const { code, message } = memberObject({ error }, 'error') ?? bad('its error is not an object');
    if (typeof code !== 'number' || code === 0) return bad('its error does not say which');
    return { kind: 'failed', name, code, message: typeof message === 'string' ? message : '' };
  }
  const response = memberObject(operation, 'response') ?? bad('it is done without a result');
  const process =
    memberObject(response, 'certificateProvisioningProcess') ?? bad('its result has no process');
  const owner = process['name'] ?? undefined;
  if (typeof owner === 'string' && processIdOf(owner) !== processIdOf(name)) {
    return bad('its result is another process’s');
  }
  const text = process['signature'];
  const signature = typeof text === 'string' && text !== '' ? decodeBase64(text) : undefined;
  return signature === undefined
    ? bad('its signature is not base64')
    : { kind: 'done', name, signature };
}

type Json = Readonly<Record<string, unknown>>;

function memberObject(json: Json, key: string): Json | undefined {
  const value = json[key];
  return isRecord(value) ? value : undefined;
}

function bad(problem: string): never {
  throw new GoogleError(
    'google-bad-answer',
    `Google’s signData operation cannot be read: ${problem}.`,
    { unclear: false },
  );
}
