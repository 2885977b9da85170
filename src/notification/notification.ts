import type { Notification } from '../journal/journal.ts';
import { readStringFields } from './protobuf.ts';

/*
 * CertificateProvisioningProcessCreatedEventData { certificate_provisioning_process_id = 1; customer_id = 2 },
 * as binary protobuf or as JSON: Google does not say which one it publishes, so both are read.
 */

/** A notification is about 100 bytes; anything larger than this is not one. */
export const maxNotificationBytes = 64 * 1024;

/** Google's ids are letters, digits, `-` and `_`. Nothing else may become part of a URL. */
const safeId = /^[A-Za-z0-9_-]{1,200}$/;

const resourceName = /^customers\/([^/]*)\/certificateProvisioningProcesses\/([^/]*)$/;

const ownCustomer = 'my_customer';

const openingBrace = 0x7b;

/** The message is not a notification. `reason` is ours and holds nothing of the body. */
export class UnreadableNotificationError extends Error {
  override readonly name = 'UnreadableNotificationError';
  readonly reason: string;

  constructor(reason: string) {
    super(`The message is not a readable notification: ${reason}.`);
    this.reason = reason;
  }
}

interface Fields {
  readonly processId: string;
  readonly customer: string;
}

/**
 * Decodes the data of a Pub/Sub message, binary protobuf or JSON (camelCase or snake_case keys). A process
 * id may also come as the full resource name; a missing customer means `my_customer`.
 *
 * @throws {UnreadableNotificationError} for anything that does not give two safe ids.
 */
export function decodeNotification(body: Uint8Array): Notification {
  if (body.length === 0) throw new UnreadableNotificationError('it is empty');
  if (body.length > maxNotificationBytes) {
    throw new UnreadableNotificationError(`it is larger than ${maxNotificationBytes} bytes`);
  }
  const jsonAt = startOfJson(body);
  // As a protobuf tag, `{` begins a group, which never starts this message: it is JSON.
  if (jsonAt === 0) return checked(fieldsOfJson(body));
  try {
    return checked(fieldsOfProtobuf(body));
  } catch (error) {
    // A line feed is also the tag of protobuf's field 1. JSON after white space cannot pass for two safe
    // ids, so protobuf is tried first.
    if (jsonAt === -1 || !(error instanceof UnreadableNotificationError)) throw error;
    return checked(fieldsOfJson(body));
  }
}

/** The index of the brace, if only white space and a byte order mark come before it, or -1. */
function startOfJson(body: Uint8Array): number {
  let at = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? 3 : 0;
  while (body[at] === 0x20 || body[at] === 0x0a || body[at] === 0x0d || body[at] === 0x09) at += 1;
  return body[at] === openingBrace ? at : -1;
}

function fieldsOfProtobuf(body: Uint8Array): Fields {
  const read = readStringFields(body, 2);
  if ('problem' in read) throw new UnreadableNotificationError(`as protobuf, ${read.problem}`);
  return { processId: read.fields.get(1) ?? '', customer: read.fields.get(2) ?? '' };
}

function fieldsOfJson(body: Uint8Array): Fields {
  const json = parseJson(body);
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new UnreadableNotificationError('its JSON is not an object');
  }
  return {
    processId: stringOf(
      json,
      'certificateProvisioningProcessId',
      'certificate_provisioning_process_id',
    ),
    customer: stringOf(json, 'customerId', 'customer_id'),
  };
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    // The parser's own message quotes the text, and that must not reach a log.
    throw new UnreadableNotificationError('it begins like JSON and is not valid JSON in UTF-8');
  }
}

function stringOf(json: object, camelCase: string, snakeCase: string): string {
  const own = (key: string): unknown =>
    Object.hasOwn(json, key) ? Reflect.get(json, key) : undefined;
  const value = own(camelCase) ?? own(snakeCase) ?? '';
  if (typeof value !== 'string') {
    throw new UnreadableNotificationError(`${camelCase} is not a string`);
  }
  return value;
}

function checked(fields: Fields): Notification {
  const named = resourceName.exec(fields.processId);
  const processId = named?.[2] ?? fields.processId;
  const customer = fields.customer || named?.[1] || ownCustomer;
  if (processId === '') throw new UnreadableNotificationError('it names no process');
  if (!safeId.test(processId)) {
    throw new UnreadableNotificationError('its process id is not letters, digits, "-" and "_"');
  }
  if (!safeId.test(customer)) {
    throw new UnreadableNotificationError('its customer id is not letters, digits, "-" and "_"');
  }
  return { customer, processId };
}
