import { z } from 'zod';
import { checkTemplate } from '../../profile/profile.ts';
import { sidKeys } from '../../profile/sid-file.ts';
import {
  extendedKeyUsageOids,
  keyUsageNames,
  parseExtendedKeyUsage,
  parseKeyUsage,
} from '../../x509/usages.ts';
import { usage } from './usage-name.ts';
import { whenSound } from './when-sound.ts';

const keyUsage = usage(parseKeyUsage, keyUsageNames, 'a key usage');

const extendedKeyUsage = usage(
  parseExtendedKeyUsage,
  Object.keys(extendedKeyUsageOids),
  'an extended key usage, nor an object identifier',
);

const extendedKeyUsages = z
  .array(extendedKeyUsage)
  .min(1)
  .max(20)
  .prefault(['clientAuth'])
  .describe(
    'By name (`clientAuth`, `emailProtection`, …) or object identifier. Wi-Fi and VPN need `clientAuth`.',
  );

const validityDays = z
  .int()
  .min(2)
  .max(36_500)
  .default(365)
  .describe(
    'How long a certificate shall be valid, in days. Longer than the renewal period in the Admin console, or devices renew without end. Many CAs decide this themselves.',
  );

const subjectAltName = z
  .strictObject({
    type: z
      .enum(['dns', 'email', 'upn', 'uri'])
      .describe('`dns`, `email`, `upn` (Microsoft user principal name) or `uri`.'),
    value: z.string().min(1).max(4096).describe('A template, like `${USER_EMAIL}`.'),
  })
  .superRefine((name, context) => {
    const problem = checkTemplate(name.value, name.type);
    if (problem !== undefined) {
      context.addIssue({ code: 'custom', path: ['value'], message: problem });
    }
  });

export const sid = z.strictObject({
  file: z
    .string()
    .min(1)
    .describe(
      'A text file that an administrator keeps, with a line `key,SID` for each person or device. Read anew when it changes.',
    ),
  key: z
    .enum(sidKeys)
    .describe(
      'What stands before the comma: `email` or `userDirectoryId` for users, `deviceDirectoryId` or `serialNumber` for devices.',
    ),
  form: z
    .enum(['extension', 'uri', 'both'])
    .default('extension')
    .describe(
      '`extension` is 1.3.6.1.4.1.311.25.2, which the CA must copy from the request; `uri` a subject alternative name, which most CAs keep and newer domain controllers read.',
    ),
  unknown: z
    .enum(['refuse', 'omit'])
    .default('refuse')
    .describe('For one without a line: `refuse`, or `omit` the SID and go on.'),
});

export const profile = z
  .strictObject({
    subject: z
      .string()
      .max(4096)
      .superRefine((text, context) => {
        const problem = text === '' ? undefined : checkTemplate(text, 'subject');
        if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
      })
      .default('')
      .describe(
        'The subject as an RFC 4514 name with variables, like `CN=${DEVICE_SERIAL_NUMBER},O=Example`. May be left out when there is a subject alternative name.',
      ),
    subjectAltNames: z
      .array(subjectAltName)
      .max(32)
      .default([])
      .describe('Subject alternative names, each with `type` and `value`.'),
    keyUsages: z
      .array(keyUsage)
      .min(1)
      .prefault(['digitalSignature'])
      .describe(`Any of ${keyUsageNames.map((name) => `\`${name}\``).join(', ')}.`),
    extendedKeyUsages,
    validityDays,
    template: z
      .string()
      .min(1)
      .max(256)
      .optional()
      .describe("The CA's own template or profile name, for kinds that choose by one."),
    sid: sid
      .optional()
      .describe(
        'Puts the SID of the Active Directory account into the certificate (strong mapping, KB5014754). See docs/authorities/windows-ca.md.',
      ),
  })
  .refine(({ subject, subjectAltNames }) => subject !== '' || subjectAltNames.length > 0, {
    error:
      'has neither a subject nor a subject alternative name. Fix: add subject, like CN=${DEVICE_SERIAL_NUMBER}, or an entry under subjectAltNames',
    ...whenSound('subject', 'subjectAltNames'),
  });

export const scepProfiles = z.strictObject({ extendedKeyUsages, validityDays });
