import { z } from 'zod';

/** Who we are to Google, as the configuration has it; `none` is for an endpoint on loopback. */
export const googleCredentials = z.union(
  [
    z.enum(['application-default', 'none']),
    z.strictObject({
      file: z.string().min(1).describe('A service-account key or a workload-identity file (JSON).'),
    }),
  ],
  {
    error:
      'must be application-default, { file: PATH } or none. Fix: write application-default to use the machine’s own identity, or the path of a key file.',
  },
);

/** The path is absolute where credentials are made of them. */
export type GoogleCredentials = Readonly<z.output<typeof googleCredentials>>;
