import { z } from 'zod';
import { secretReference } from '../../plug-in/secret.ts';
import { whenSound } from './when-sound.ts';

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

export const usualJournalFile = './data/journal.db';

/** Keys that only one kind of journal has a use for: whether they are written counts, so they have no default here. */
const owners = { path: 'sqlite', url: 'postgres', allowUnverifiedServer: 'postgres' } as const;

export const journal = z
  .strictObject({
    kind: z
      .enum(['sqlite', 'postgres', 'memory'])
      .default('sqlite')
      .describe(
        'Where processes are written down: `sqlite` (one instance), `postgres` (several instances), `memory` (for trying things out: a restart forgets everything).',
      ),
    path: z
      .string()
      .min(1)
      .optional()
      .meta({ default: usualJournalFile })
      .describe('The file, for `sqlite`.'),
    url: connectionString
      .optional()
      .describe(
        'The connection string, for `postgres`, as libpq has it: usually `{ env: DATABASE_URL }`. Several hosts are tried for one that can be written to; `host=/cloudsql/…` is the directory of a socket; `sslmode` means what it means to psql, with `sslrootcert`, `sslcert` and `sslkey`. It may stand here as text only when there is no password in it.',
      ),
    allowUnverifiedServer: z
      .boolean()
      .optional()
      .meta({ default: false })
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
  })
  .superRefine(({ kind, ...given }, context) => {
    const say = (key: string, message: string) =>
      context.addIssue({ code: 'custom', path: [key], message });
    for (const key of ['path', 'url', 'allowUnverifiedServer'] as const) {
      if (given[key] === undefined || kind === owners[key]) continue;
      say(key, `is not used by kind ${kind}. Fix: remove it, or write kind: ${owners[key]}`);
    }
    if (kind === 'postgres' && given.url === undefined) {
      say('url', 'is missing. Fix: kind postgres needs it: add url: { env: DATABASE_URL }');
    }
  }, whenSound('kind'));
