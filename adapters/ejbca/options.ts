import { z } from 'zod';
import { connectionOptions, plainHttpOption } from '../shared/connection.ts';
import { authOptions } from './credentials.ts';

const name = z.string().trim().min(1);

export const options = z
  .strictObject({
    url: z
      .url({ protocol: /^https?$/ })
      .describe('EJBCA’s REST API, such as https://ejbca.example.org:8443/ejbca/ejbca-rest-api.'),
    certificateAuthority: name.describe('The name of the CA in EJBCA.'),
    endEntityProfile: name.describe('The end entity profile: it decides which names are allowed.'),
    certificateProfile: name
      .optional()
      .describe(
        'The certificate profile, where the certprov profile has no `template`: it decides validity and usages.',
      ),
    usernamePrefix: z
      .string()
      .regex(/^[\w.-]{1,60}$/)
      .default('certprov-')
      .describe('Begins the user names of the end entities; the order’s requestId follows.'),
    lookUp: z
      .boolean()
      .default(true)
      .describe(
        'Searches for the order’s certificate before ordering. Without it a crash may lead to two certificates; only for an EJBCA that has no search.',
      ),
    pollSeconds: z
      .number()
      .positive()
      .max(86_400)
      .default(300)
      .describe('How soon to ask again for an order that waits for approval.'),
    auth: authOptions.default({ method: 'certificate' }).describe('Who we are for EJBCA.'),
    ...connectionOptions,
    allowPlainHttp: plainHttpOption,
  })
  .superRefine((given, context) => {
    if (given.auth.method !== 'certificate' || given.tls?.certFile !== undefined) return;
    const message = 'is needed for the method certificate';
    context.addIssue({ code: 'custom', path: ['tls', 'certFile'], message });
  });

export type Options = z.output<typeof options>;
