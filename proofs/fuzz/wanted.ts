import type { RequestedCertificate } from '../../src/request/requested-certificate.ts';
import { parseName } from '../../src/x509/distinguished-name.ts';

/** What the certificates among the seeds were asked for with. */
export const wanted: RequestedCertificate = {
  subject: parseName('CN=SIM0000001,OU=ChromeOS devices,O=Example'),
  subjectAltNames: [
    { type: 'dns', value: 'sim0000001.devices.example' },
    { type: 'email', value: 'user@example.com' },
    { type: 'upn', value: 'user@example.com' },
    { type: 'uri', value: 'urn:example:1' },
  ],
  keyUsages: ['digitalSignature'],
  extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'],
  validityDays: 365,
};
