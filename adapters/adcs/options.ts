import { z } from 'zod';
import { secretReference } from '../../src/plug-in/secret.ts';
import { isOid } from '../../src/x509/encode-der.ts';
import { connectionOptions, serverUrl } from '../shared/connection.ts';

/** Neither line breaks nor colons: web enrolment would take what follows for further request attributes. */
export const templateForm = /^[^\p{Cc}:]{1,255}$/u;

export const options = z
  .strictObject({
    transport: z
      .enum(['ces', 'certsrv'])
      .default('ces')
      .describe(
        'The way to the CA: `ces` is the certificate enrolment web service, `certsrv` the web enrolment pages.',
      ),
    url: serverUrl.describe(
      'For `ces` the service’s whole URL, e.g. `https://HOST/CA-NAME_CES_UsernamePassword/service.svc/CES` (or `…_CES_Certificate/…` with a client certificate); for `certsrv` `https://HOST/certsrv`.',
    ),
    template: z
      .string()
      .regex(templateForm, 'must be the template’s name (cn), not empty')
      .optional()
      .describe(
        'The certificate template’s name (cn, without spaces, not the display name). It must be set to “Supply in the request”, or it certifies our own account. A profile’s own `template` comes before it; a stand-alone CA has none.',
      ),
    templateId: z
      .strictObject({
        oid: z.string().refine(isOid, 'must be an object identifier in dots').describe('Its OID.'),
        majorVersion: z
          .int()
          .min(0)
          .max(2 ** 31 - 1)
          .optional()
          .describe('Its major version, not newer than the CA’s copy.'),
        minorVersion: z
          .int()
          .min(0)
          .max(2 ** 31 - 1)
          .optional()
          .describe('Its minor version; needs a major version.'),
      })
      .refine(
        ({ majorVersion, minorVersion }) =>
          majorVersion !== undefined || minorVersion === undefined,
        { path: ['majorVersion'], error: 'is needed beside minorVersion' },
      )
      .optional()
      .describe(
        'Puts the template’s OID into the CSR too, for CAs whose policy module asks for it. Rarely needed; it must name the same template.',
      ),
    username: z
      .string()
      .min(1)
      .max(256)
      .optional()
      .describe(
        'The account: `DOMAIN\\user` or `user@domain`. It needs Read and Enroll on the template.',
      ),
    password: secretReference.optional().describe('Its password.'),
    ...connectionOptions,
    pollSeconds: z
      .number()
      .min(1)
      .max(86_400)
      .default(600)
      .describe('How soon a request that waits for an administrator is asked after again.'),
  })
  .refine(({ username, password }) => (username === undefined) === (password === undefined), {
    path: ['password'],
    error: 'username and password belong together',
  })
  .refine(({ username, tls }) => username !== undefined || tls?.certFile !== undefined, {
    path: ['username'],
    error: 'needs username and password, or tls.certFile and tls.keyFile',
  });

export type Options = z.output<typeof options>;
