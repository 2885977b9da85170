import { describe, expect, it } from 'vitest';
import {
  decodeNotification,
  maxNotificationBytes,
  UnreadableNotificationError,
} from '../../src/notification/notification.ts';

const id = '0123456789abcdef0123456789abcdef';

function field(number: number, content: string | Uint8Array): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([Buffer.from([number * 8 + 2, bytes.length]), bytes]);
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

describe('a notification in binary protobuf', () => {
  it('gives both ids', () => {
    const body = Buffer.concat([field(1, id), field(2, 'C012abc')]);
    expect(decodeNotification(body)).toEqual({ processId: id, customer: 'C012abc' });
  });

  it('gives both ids in the other order', () => {
    const body = Buffer.concat([field(2, 'C012abc'), field(1, id)]);
    expect(decodeNotification(body)).toEqual({ processId: id, customer: 'C012abc' });
  });

  it('means my_customer when the customer is missing or empty', () => {
    expect(decodeNotification(field(1, id)).customer).toBe('my_customer');
    expect(decodeNotification(Buffer.concat([field(1, id), field(2, '')])).customer).toBe(
      'my_customer',
    );
  });

  it('takes the last of a repeated field and skips unknown fields of every type', () => {
    const body = Buffer.concat([
      Buffer.from([3 * 8 + 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
      field(1, 'first'),
      Buffer.from([4 * 8 + 1, 1, 2, 3, 4, 5, 6, 7, 8]),
      Buffer.from([5 * 8 + 5, 1, 2, 3, 4]),
      field(7, 'unknown'),
      field(1, id),
    ]);
    expect(decodeNotification(body).processId).toBe(id);
  });

  it('is not mistaken for JSON when the id is as long as a brace', () => {
    const long = 'a'.repeat(0x7b);
    expect(decodeNotification(field(1, long)).processId).toBe(long);
  });

  it.each([
    ['a group', Buffer.from([3 * 8 + 3, 3 * 8 + 4])],
    ['field number 0', Buffer.from([0x02, 0x00])],
    ['an id that is a number', Buffer.from([0x08, 0x01])],
    ['a length beyond the end', Buffer.from([0x0a, 0x05, 0x61])],
    ['a length of 2^63', Buffer.from([0x0a, ...Array(9).fill(0x80), 0x01])],
    ['a varint without an end', Buffer.from([0x0a, ...Array(12).fill(0xff)])],
    ['invalid UTF-8', field(1, Buffer.from([0xc3, 0x28]))],
    ['a surrogate in UTF-8', field(1, Buffer.from([0xed, 0xa0, 0x80]))],
    ['no process', field(2, 'C012abc')],
  ])('is refused with %s', (_what, body) => {
    expect(() => decodeNotification(body)).toThrow(UnreadableNotificationError);
  });
});

describe('a notification in JSON', () => {
  it.each([
    ['camelCase', { certificateProvisioningProcessId: id, customerId: 'C012abc' }],
    ['snake_case', { certificate_provisioning_process_id: id, customer_id: 'C012abc' }],
    ['unknown keys', { other: [{}], certificateProvisioningProcessId: id, customerId: 'C012abc' }],
  ])('is read with %s', (_what, value) => {
    expect(decodeNotification(json(value))).toEqual({ processId: id, customer: 'C012abc' });
  });

  it.each(['\n', ' \t\r\n', '\ufeff', '\ufeff\n'])('is read after %j', (lead) => {
    const body = Buffer.concat([
      Buffer.from(lead),
      json({ certificateProvisioningProcessId: id, customerId: null }),
    ]);
    expect(decodeNotification(body)).toEqual({ processId: id, customer: 'my_customer' });
  });

  it.each([
    ['an array', '[]'],
    ['cut off JSON', '{"certificateProvisioningProcessId": "a'],
    ['a number as id', '{"certificateProvisioningProcessId": 1}'],
    ['no process', '{}'],
    ['an inherited name', '{"__proto__": {"certificateProvisioningProcessId": "a"}}'],
    ['deep nesting', `{"a":${'['.repeat(60_000)}`],
  ])('is refused with %s', (_what, text) => {
    expect(() => decodeNotification(Buffer.from(text))).toThrow(UnreadableNotificationError);
  });
});

describe('ids', () => {
  it('are taken from a full resource name', () => {
    const name = `customers/C0name/certificateProvisioningProcesses/${id}`;
    expect(decodeNotification(json({ certificateProvisioningProcessId: name }))).toEqual({
      processId: id,
      customer: 'C0name',
    });
    expect(
      decodeNotification(json({ certificateProvisioningProcessId: name, customerId: 'C0own' })),
    ).toEqual({ processId: id, customer: 'C0own' });
  });

  it.each(['../x', 'a/b', 'a:claim', 'a?b', 'a b', 'a%2e', 'ä', 'a\n', 'a'.repeat(201), '.'])(
    'that are not safe inside a URL are refused: %j',
    (unsafe) => {
      expect(() => decodeNotification(json({ certificateProvisioningProcessId: unsafe }))).toThrow(
        /process id/,
      );
      expect(() =>
        decodeNotification(json({ certificateProvisioningProcessId: id, customerId: unsafe })),
      ).toThrow(/customer id/);
    },
  );
});

describe('what is no notification', () => {
  it('is refused when empty or too large', () => {
    expect(() => decodeNotification(new Uint8Array())).toThrow(/empty/);
    expect(() => decodeNotification(new Uint8Array(maxNotificationBytes + 1))).toThrow(/larger/);
  });

  it('is refused without a word of it', () => {
    for (const body of ['{"secret-word', 'secret-word', '{"customerId":"secret word"}']) {
      try {
        decodeNotification(Buffer.from(body));
        expect.unreachable();
      } catch (error) {
        expect(error).toBeInstanceOf(UnreadableNotificationError);
        expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('secret');
        expect((error as Error).cause).toBeUndefined();
      }
    }
  });
});
