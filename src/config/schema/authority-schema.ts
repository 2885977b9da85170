import { z } from 'zod';
import { droppableParts } from '../../plug-in/certificate-authority.ts';
import { sha1Signature } from '../../x509/signature-hash.ts';
import { extendedKeyUsageOids, parseExtendedKeyUsage } from '../../x509/usages.ts';
import { usage } from './usage-name.ts';

const addable = usage(
  (text) => (text === sha1Signature ? text : parseExtendedKeyUsage(text)),
  [...Object.keys(extendedKeyUsageOids), sha1Signature],
  'an extended key usage, nor an object identifier',
);

export const authority = z.strictObject({
  kind: z
    .string()
    .min(1)
    .describe(
      'The kind of CA: a name from the list below, a path (`./my-ca.ts`), or a package’s name.',
    ),
  options: z
    .record(z.string(), z.unknown())
    .default({})
    .describe('What this kind needs to know; each kind has its own, see below.'),
  concurrency: z
    .int()
    .min(1)
    .max(1000)
    .optional()
    .describe(
      'Calls to this authority at once. Without it the kind decides: 8, or more where the CA is in this process.',
    ),
  requestsPerSecond: z
    .number()
    .positive()
    .max(10_000)
    .optional()
    .describe(
      'Calls to this authority per second. Without it the kind decides: 7 for `google-cas` (its quota), else no limit.',
    ),
  timeoutSeconds: z
    .number()
    .min(1)
    .max(3600)
    .default(90)
    .describe('How long one call to this authority may take.'),
  roots: z
    .array(z.string().min(1))
    .max(100)
    .default([])
    .describe(
      'Files with certificates (PEM, DER or .p7b); what this authority issues must chain to one of them. Recommended. Without them the chain is not checked.',
    ),
  mayDrop: z
    .array(z.enum(droppableParts))
    .default([])
    .describe(
      'Parts of a request that this authority may leave out without the certificate being held back (it may put nothing else in their place): `subject`, `dns`, `email`, `upn`, `uri`, `keyUsages`, `extendedKeyUsages`.',
    ),
  mayAdd: z
    .array(addable)
    .max(50)
    .default([])
    .describe(
      'What this authority may add to a certificate without its being held back: extended key usages by name or object identifier, critical extensions by object identifier, and `sha1Signature`. What a device’s names or its key hold in bounds is always allowed, since many CAs give it to everybody: `serverAuth`, `clientAuth`, `emailProtection`, `encryptingFileSystem`, and those for EAP and IPsec. Every other power that nobody asked for holds the certificate back.',
    ),
});
