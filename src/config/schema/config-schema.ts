import { isIP } from 'node:net';
import { z } from 'zod';
import { authority } from './authority-schema.ts';
import { google, pubsub } from './google-schema.ts';
import { journal } from './journal-schema.ts';
import { profile, scepProfiles } from './profile-schema.ts';

/*
 * What may stand in config.yaml: the one source for validation, for the JSON Schema and for
 * docs/run/configuration.md. A message may end in `Fix: …`; what stands there is shown as the fix. What can only be
 * found out outside the file is looked at in load/.
 */

/** Up to a year. */
const hours = z.number().positive().max(8760);

const limits = z.strictObject({
  visits: z.int().min(1).max(10_000).default(200).describe('Processes worked on at once.'),
  signingHours: hours
    .default(24)
    .describe(
      'How long a device may take to sign. A device that misses a push looks only every 8 hours.',
    ),
  issuingHours: hours
    .default(72)
    .describe(
      'How long an authority may take to issue, outages included, before the process is refused.',
    ),
  unmatchedHours: hours
    .default(24)
    .describe(
      'How long a process whose reference is in no table is held before it is refused, with `unmatched: hold`.',
    ),
  rejectedDevices: z
    .int()
    .min(1)
    .max(1000)
    .default(5)
    .describe(
      'So many devices in a row that an authority rejects for one profile are taken for a fault of the configuration: the profile’s processes are held and one order a minute is tried. Fewer are refused at once, if the authority has issued for the profile before.',
    ),
  drainSeconds: z
    .number()
    .min(0)
    .max(3600)
    .default(20)
    .describe('How long visits may go on after SIGTERM before they are aborted.'),
});

const server = z.strictObject({
  host: z
    .string()
    .refine(
      (host) => isIP(host) !== 0 || /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(host),
      'must be an IP address or a host name',
    )
    .default('127.0.0.1')
    .describe('The address that /livez, /readyz and /metrics listen on; `0.0.0.0` in a container.'),
  port: z.int().min(0).max(65_535).default(8470).describe('The port; 0 takes any that is free.'),
});

const log = z.strictObject({
  level: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
    .default('info')
    .describe(
      'The least important lines that are still written: `info` has a line for each process that ended and for trouble, `debug` also for each stage and call.',
    ),
  subjects: z
    .boolean()
    .default(true)
    .describe(
      'Whether each line about a process carries who asks: the device’s serial number, or the user’s address.',
    ),
});

/** A reference as an admin types it in the Admin console. */
const reference = z
  .string()
  .min(1)
  .max(256)
  .regex(/^\P{Cc}*$/u, 'a reference must not hold control characters');

export const configSchema = z.strictObject({
  instance: z
    .string()
    .min(1)
    .max(256)
    .optional()
    .describe(
      "`callerInstanceId`: how this instance names itself to Google. Default: the host's name.",
    ),
  google: google.prefault({}).describe("Google's Chrome Management API."),
  pubsub: pubsub.describe('Where notifications arrive.'),
  journal: journal.prefault({}).describe('What was not written down is lost.'),
  authorities: z
    .record(reference, authority)
    .refine(
      (all) => Object.keys(all).length > 0,
      'has no authority. Fix: add one under the reference of the CA connection in the Admin console',
    )
    .describe(
      "The certificate authorities, each under the CA connection's adapter config reference in the Admin console.",
    ),
  profiles: z
    .record(reference, profile)
    .default({})
    .describe(
      "What certificates look like, each under the profile's adapter config reference in the Admin console.",
    ),
  scepProfiles: scepProfiles
    .prefault({})
    .describe(
      'What is added for processes whose profile in the Admin console is a SCEP profile: names, key usages and template come with the process.',
    ),
  unmatched: z
    .enum(['hold', 'refuse', 'ignore'])
    .default('hold')
    .describe(
      'A process whose reference is in no table: `hold` (it stays unclaimed, is looked at again at each start and now and then, and is refused after `limits.unmatchedHours`), `refuse` (the device shows why at once) or `ignore` (another adapter serves it).',
    ),
  limits: limits.prefault({}).describe('Deadlines and bounds.'),
  server: server.prefault({}).describe('Health and metrics over HTTP.'),
  log: log.prefault({}).describe('The log: JSON lines on standard output.'),
});

/** The file's content, checked, with every default filled in. */
export type ConfigFile = z.output<typeof configSchema>;

/** JSON Schema (2020-12) of what may stand in the file. An adapter's own options are open in it. */
export function configJsonSchema(): z.core.JSONSchema.BaseSchema {
  return z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' });
}
