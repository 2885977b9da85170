import { z } from 'zod';

/** The most devices one call may add. */
const mostDevices = 200_000;

const name = z.string().min(1).max(256);

const scepProfile = z.strictObject({
  certificateTemplateName: name.optional(),
  subjectCommonName: name.optional(),
  organization: name.optional(),
  organizationalUnits: z.array(name).max(20).optional(),
  locality: name.optional(),
  state: name.optional(),
  country: name.optional(),
  keyUsages: z.array(z.enum(['KEY_USAGE_SIGNING', 'KEY_USAGE_KEY_ENCIPHERMENT'])).optional(),
  subjectAltNames: z
    .array(
      z.strictObject({
        type: z.enum([
          'RFC822_NAME',
          'DNS_NAME',
          'OTHER_NAME_USER_PRINCIPAL_NAME',
          'UNIFORM_RESOURCE_IDENTIFIER',
        ]),
        value: name,
      }),
    )
    .max(20)
    .optional(),
});

/** What kind of devices to add, and how they behave. Every key has a default that fits the root's config.yaml. */
const deviceSpecSchema = z.strictObject({
  count: z.int().min(1).max(mostDevices).default(1),
  key: z.enum(['rsa', 'ec']).default('rsa'),
  subject: z.enum(['device', 'user']).default('device'),
  profile: z.enum(['generic', 'scep']).default('generic'),
  /** caConnectionAdapterConfigReference. */
  caConnection: name.default('default_ca_config'),
  /** profileAdapterConfigReference of a generic profile: `device_profile` or `user_profile` by default. */
  profileReference: name.optional(),
  /** Fields of the SCEP profile; the others have defaults. */
  scepProfile: scepProfile.default({}),
  /** The obfuscated customer id. */
  customer: z
    .string()
    .regex(/^C[0-9a-z]{2,20}$/)
    .default('C01simul8'),
  /** For a user: whether the same organisation manages the device, so that Google names it too. */
  managedDevice: z.boolean().default(true),
  signs: z.enum(['promptly', 'never', 'wrong-key']).default('promptly'),
  /** How long the device needs after it woke, in ms of real time; the simulator's `signingDelayMs` by default. */
  signAfterMs: z.number().min(0).max(86_400_000).optional(),
  /** How this device writes EC signatures; the switch `ecSignature` by default. */
  ecSignature: z.enum(['der', 'raw']).optional(),
  /** When calls for the process begin to get 404. */
  gone: z.enum(['never', 'at-once', 'after-claim', 'after-signing', 'at-upload']).default('never'),
  /** Top-level fields that Google's JSON of the process lacks. */
  omit: z.array(name).max(20).default([]),
  /** Whether the notification is published. */
  notify: z.boolean().default(true),
});

/** A spec as callers write it. */
export type DeviceSpecInput = z.input<typeof deviceSpecSchema>;
/** A spec with its defaults filled in; shared by all devices that were added with it. */
export type DeviceSpec = z.output<typeof deviceSpecSchema>;

/** A device spec that cannot be used; the message has one line per problem. */
export class DeviceSpecError extends Error {}

/** Fills in the defaults; throws {@link DeviceSpecError}. */
export function parseDeviceSpec(input: unknown): DeviceSpec {
  const parsed = deviceSpecSchema.safeParse(input);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(
    (issue) => `${issue.path.length === 0 ? 'devices' : issue.path.join('.')}: ${issue.message}`,
  );
  throw new DeviceSpecError(problems.join('\n'));
}
