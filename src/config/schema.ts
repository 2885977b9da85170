import { isIP } from 'node:net';
import { z } from 'zod';
import { secretReference } from '../plug-in/secret.ts';
import { authority } from './authority-schema.ts';
import { profile, scepProfiles } from './profile-schema.ts';

/*
 * What may stand in config.yaml: the one source for validation, for the JSON Schema and for
 * docs/run/configuration.md. A message may end in `Fix: …`; what stands there is shown as the fix.
 */

export const google = z.strictObject({
  endpoint: z
    .url({ protocol: /^https?$/, error: 'must be an http or https URL' })
    .default('https://chromemanagement.googleapis.com')
    .describe("The API's root. Plain http is allowed on loopback only, for the simulator."),
  credentials: z
    .union(
      [
        z.enum(['application-default', 'none']),
        z.strictObject({
          file: z
            .string()
            .min(1)
            .describe('A service-account key or a workload-identity file (JSON).'),
        }),
      ],
      {
        error:
          'must be application-default, { file: PATH } or none. Fix: write application-default to use the machine’s own identity, or the path of a key file.',
      },
    )
    .default('application-default')
    .describe(
      'Who we are to Google, for the API and for Pub/Sub: `application-default`, `{ file: PATH }` (a service-account key or a workload-identity file), or `none` (with a loopback endpoint only).',
    ),
  requestsPerSecond: z
    .number()
    .positive()
    .max(10_000)
    .default(50)
    .describe("Budget for all calls of this instance to Google's API together."),
});

export const pubsub = z.strictObject({
  project: z
    .string()
    .regex(
      /^[a-z][a-z0-9.:-]{2,61}[a-z0-9]$/,
      'must be a Google Cloud project id: lower-case letters, digits and hyphens',
    )
    .optional()
    .describe(
      'The Google Cloud project of the subscription. Not needed when `subscription` is a full name.',
    ),
  subscription: z
    .string()
    .regex(
      /^(?:projects\/[^/\s]+\/subscriptions\/)?[A-Za-z][\w.~+%-]{2,254}$/,
      'must be a subscription’s name, or a full name of the form projects/PROJECT/subscriptions/NAME',
    )
    .describe(
      'The subscription on which notifications arrive, by its name or as `projects/PROJECT/subscriptions/NAME`.',
    ),
  endpoint: z
    .string()
    .regex(
      /^(?:https?:\/\/)?(?:[\w.-]+|\[[\da-fA-F:]+\])(?::\d{1,5})?\/?$/,
      'must be a host and port, like 127.0.0.1:8461',
    )
    .optional()
    .describe(
      "Another endpoint, for an emulator. When it is not given, the environment variable `PUBSUB_EMULATOR_HOST` is looked at, then Google's own is used.",
    ),
});

/** A connection string may stand in the file when no password is in it. */
const connectionString = z.union(
  [
    z
      .string()
      .min(1)
      .refine(
        (url) => !/:\/\/[^/@\s]*:[^/@\s]*@|[?&\s]password=|^password=/i.test(url),
        'a password is never written in the configuration itself. Fix: put the whole URL into an environment variable and write { env: DATABASE_URL }.',
      ),
    secretReference,
  ],
  { error: 'must be { env: NAME }, { file: PATH }, or a URL without a password' },
);

export const journal = z.strictObject({
  kind: z
    .enum(['sqlite', 'postgres', 'memory'])
    .default('sqlite')
    .describe(
      'Where processes are written down: `sqlite` (one instance), `postgres` (several instances), `memory` (for trying things out: a restart forgets everything).',
    ),
  path: z.string().min(1).default('./data/journal.db').describe('The file, for `sqlite`.'),
  url: connectionString
    .optional()
    .describe(
      'The connection string, for `postgres`, as libpq has it: usually `{ env: DATABASE_URL }`. Several hosts are tried for one that can be written to; `host=/cloudsql/…` is the directory of a socket; `sslmode` means what it means to psql, with `sslrootcert`, `sslcert` and `sslkey`. It may stand here as text only when there is no password in it.',
    ),
  allowUnverifiedServer: z
    .boolean()
    .default(false)
    .describe(
      'For `postgres` on another machine: allows a connection string without `sslmode=verify-full` (or `verify-ca` with `sslrootcert`). Whoever is between then reads the password and may write what we believe. Loopback and Unix sockets need it not.',
    ),
  leaseSeconds: z
    .number()
    .min(5)
    .max(3600)
    .default(30)
    .describe(
      'How long a visit may hold a process before another instance may take it over. After a crash, that long passes.',
    ),
  retentionDays: z
    .number()
    .min(1)
    .max(36_500)
    .default(90)
    .describe('How long closed processes are kept, for inventory and for the question why.'),
});

const limits = z.strictObject({
  visits: z.int().min(1).max(10_000).default(200).describe('Processes worked on at once.'),
  signingHours: z
    .number()
    .positive()
    .max(8760)
    .default(24)
    .describe(
      'How long a device may take to sign. A device that misses a push looks only every 8 hours.',
    ),
  issuingHours: z
    .number()
    .positive()
    .max(8760)
    .default(72)
    .describe(
      'How long an authority may take to issue, outages included, before the process is refused.',
    ),
  unmatchedHours: z
    .number()
    .positive()
    .max(8760)
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
  .regex(/^\P{Cc}+$/u, 'a reference must not hold control characters');

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
