import fc from 'fast-check';
import {
  decodeNotification,
  UnreadableNotificationError,
} from '../../../src/notification/notification.ts';
import { bytesOf, type Door, demand } from '../door.ts';

const id = '0123456789abcdef0123456789abcdef';
const name = `customers/C01/certificateProvisioningProcesses/${id}`;

const safe = /^[0-9A-Za-z_-]{1,200}$/;

/** Messages of the queue: whoever may publish to the topic writes them. */
export const notification: Door = {
  name: 'notification',
  form: 'json',
  seeds: [
    bytesOf(JSON.stringify({ certificateProvisioningProcessId: id, customerId: 'C01' })),
    bytesOf(JSON.stringify({ certificate_provisioning_process_id: name, customer_id: '' })),
    bytesOf(` \n${JSON.stringify({ certificateProvisioningProcessId: id })}`),
    bytesOf(`\n\x20${id}\x12\x03C01`),
    bytesOf(`\x12\x03C01\n\x20${id}`),
    bytesOf(`\x18\x01\n\x20${id}`),
  ],
  dictionary: [
    '{',
    '\ufeff',
    '__proto__',
    '../../../tools/fuzz/',
    '%2e',
    ':claim',
    'customers/',
    '/certificateProvisioningProcesses/',
    'customer_id',
    '\x0a\x01a',
    '\x1b\x1c',
    '\x0d\x00\x00\x00\x00',
  ],
  generated: fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.json().map(bytesOf),
    fc
      .record({ certificateProvisioningProcessId: fc.string(), customerId: fc.string() })
      .map((json) => bytesOf(JSON.stringify(json))),
  ),
  enter(input) {
    const { processId, customer } = decodeNotification(input);
    demand(safe.test(processId), `an unsafe process id: ${JSON.stringify(processId)}`);
    demand(safe.test(customer), `an unsafe customer: ${JSON.stringify(customer)}`);
    const { pathname } = new URL(`https://host/v1/${customer}/${processId}`);
    demand(pathname === `/v1/${customer}/${processId}`, `a path that changes: ${pathname}`);
    return 'ids';
  },
  isRefusal: (error) => error instanceof UnreadableNotificationError,
};
