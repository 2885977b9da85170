import fc from 'fast-check';
import { describe, it } from 'vitest';
import {
  decodeNotification,
  UnreadableNotificationError,
} from '../../src/notification/notification.ts';

const safe = /^[A-Za-z0-9_-]{1,200}$/;
const anId = fc.stringMatching(/^[A-Za-z0-9_-]{1,200}$/);

function decodesToSafeIdsOrIsRefused(body: Uint8Array): boolean {
  try {
    const { processId, customer } = decodeNotification(body);
    return safe.test(processId) && safe.test(customer);
  } catch (error) {
    return error instanceof UnreadableNotificationError;
  }
}

function protobuf(fields: readonly (readonly [number, string])[]): Uint8Array {
  return Buffer.concat(
    fields.map(([number, text]) => {
      const content = Buffer.from(text);
      const length =
        content.length < 128
          ? [content.length]
          : [(content.length & 127) | 128, content.length >> 7];
      return Buffer.concat([Buffer.from([number * 8 + 2, ...length]), content]);
    }),
  );
}

describe('any body', () => {
  it('of any bytes decodes to safe ids or is refused', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), decodesToSafeIdsOrIsRefused), {
      numRuns: 2000,
    });
  });

  it('that begins like a notification decodes to safe ids or is refused', () => {
    const start = fc.constantFrom('\n', '\x12', '{"customerId":', '{', '\n{', '\ufeff{');
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 300 }), (lead, rest) =>
        decodesToSafeIdsOrIsRefused(Buffer.concat([Buffer.from(lead), rest])),
      ),
      { numRuns: 2000 },
    );
  });

  it('of any JSON decodes to safe ids or is refused', () => {
    const key = fc.constantFrom('certificateProvisioningProcessId', 'customer_id', 'other');
    fc.assert(
      fc.property(fc.dictionary(key, fc.jsonValue()), (value) =>
        decodesToSafeIdsOrIsRefused(Buffer.from(JSON.stringify(value))),
      ),
    );
  });
});

describe('two ids', () => {
  it('come back from binary protobuf, whatever stands around them', () => {
    const unknown = fc.tuple(fc.integer({ min: 3, max: 14 }), fc.string({ maxLength: 40 }));
    fc.assert(
      fc.property(anId, anId, fc.array(unknown), (processId, customer, others) => {
        const read = decodeNotification(protobuf([...others, [1, processId], [2, customer]]));
        return read.processId === processId && read.customer === customer;
      }),
    );
  });

  it('come back from JSON with either kind of keys', () => {
    fc.assert(
      fc.property(anId, anId, fc.boolean(), fc.boolean(), (processId, customer, camel, spaced) => {
        const value = camel
          ? { certificateProvisioningProcessId: processId, customerId: customer }
          : { certificate_provisioning_process_id: processId, customer_id: customer };
        const text = JSON.stringify(value, null, spaced ? 2 : 0);
        const read = decodeNotification(Buffer.from(spaced ? `\n ${text}\n` : text));
        return read.processId === processId && read.customer === customer;
      }),
    );
  });
});
