import { z } from 'zod';
import { googleCredentials } from '../../src/google-auth/google-credentials.ts';
import { connectionOptions, serverUrl } from '../shared/connection.ts';

/** Where the service is; others only for private endpoints and tests. */
const defaultEndpoint = 'https://privateca.googleapis.com';

export const options = z
  .strictObject({
    caPool: z
      .string()
      .regex(
        /^projects\/[^/\s]+\/locations\/[a-z0-9-]+\/caPools\/[A-Za-z0-9_-]{1,63}$/,
        'must be projects/PROJECT/locations/LOCATION/caPools/POOL',
      )
      .describe('The CA pool: `projects/PROJECT/locations/LOCATION/caPools/POOL`.'),
    tier: z
      .enum(['enterprise', 'devops'])
      .default('enterprise')
      .describe(
        'The pool’s tier. `devops` cannot look certificates up or revoke them: a repeated order is recognised for an hour only, and surplus certificates cannot be revoked.',
      ),
    certificateAuthority: z
      .string()
      .regex(/^[A-Za-z0-9_-]{1,63}$/)
      .optional()
      .describe('The id of the one CA of the pool that is to issue. Without it the pool chooses.'),
    template: z
      .string()
      .regex(
        /^(projects\/[^/\s]+\/locations\/[a-z0-9-]+\/certificateTemplates\/)?[A-Za-z0-9_-]{1,63}$/,
        'must be the template’s id, or its whole name projects/…/locations/…/certificateTemplates/…',
      )
      .optional()
      .describe(
        'The certificate template: its id (in the pool’s project and location) or its whole name. A profile’s own `template` comes before it.',
      ),
    subjectMode: z
      .enum(['DEFAULT', 'RDN_SEQUENCE'])
      .default('DEFAULT')
      .describe(
        'How the pool reads the CSR’s subject: `DEFAULT` knows the usual attributes, `RDN_SEQUENCE` keeps all of them as they stand.',
      ),
    credentials: googleCredentials
      .default('application-default')
      .describe(
        'Who asks: `application-default`, `{ file: PATH }`, or `none` (with a loopback endpoint only). Needs roles/privateca.certificateRequester; in the tier `enterprise` also privateca.certificates.get (and .update to revoke), as roles/privateca.certificateManager has them.',
      ),
    endpoint: serverUrl
      .default(defaultEndpoint)
      .describe('Another endpoint of the API, e.g. a private one.'),
    ...connectionOptions,
  })
  .refine(({ credentials, endpoint }) => credentials !== 'none' || endpoint.startsWith('http:'), {
    path: ['credentials'],
    error: 'none is for a loopback endpoint (http) only',
  });

export type Options = z.output<typeof options>;
