import { randomBytes } from 'node:crypto';
import { DeviceKey } from '../../conformance/device-key.ts';
import type { IssueRequest } from '../../src/plug-in/certificate-authority.ts';
import type { KeyType, RequestedCertificate } from '../../src/request/requested-certificate.ts';

/** An order with a key and a requestId of its own, as the lifecycle would place it. */
export function sampleOrder(
  asked: Partial<RequestedCertificate> = {},
  keyType: KeyType = 'ec',
): IssueRequest {
  const key = new DeviceKey(keyType);
  const wanted: RequestedCertificate = {
    subject: [[{ type: '2.5.4.3', value: 'device.example.org' }]],
    subjectAltNames: [{ type: 'dns', value: 'device.example.org' }],
    keyUsages: ['digitalSignature'],
    extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'],
    validityDays: 30,
    ...asked,
  };
  return {
    requestId: randomBytes(16).toString('hex'),
    processId: 'process-1',
    keyType,
    subjectPublicKeyInfo: key.subjectPublicKeyInfo,
    subject: { kind: 'device', serialNumber: '5CD1234' },
    wanted,
    csr: key.request(wanted),
  };
}
