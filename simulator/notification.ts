import type { SwitchChoice } from './faults.ts';

/**
 * A notification's data: CertificateProvisioningProcessCreatedEventData
 * { string certificate_provisioning_process_id = 1; string customer_id = 2; }.
 *
 * @param customer undefined leaves the customer id out
 * @param turn chooses the form where the format is `mixed`
 */
export function notificationData(
  processId: string,
  customer: string | undefined,
  format: SwitchChoice<'messageFormat'>,
  turn: number,
): Buffer {
  const forms = ['binary', 'json', 'json-snake'] as const;
  const form = format === 'mixed' ? forms[turn % forms.length] : format;
  switch (form) {
    case 'json':
      return json({ certificateProvisioningProcessId: processId, customerId: customer });
    case 'json-snake':
      return json({ certificate_provisioning_process_id: processId, customer_id: customer });
    default:
      return Buffer.concat([
        protobufString(1, processId),
        customer === undefined ? Buffer.alloc(0) : protobufString(2, customer),
      ]);
  }
}

function json(value: Record<string, string | undefined>): Buffer {
  return Buffer.from(JSON.stringify(value));
}

/** A length-delimited field (wire type 2); ids are far below 128 bytes, so the length is one byte. */
function protobufString(fieldNumber: number, text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from([(fieldNumber << 3) | 2, bytes.length]), bytes]);
}
