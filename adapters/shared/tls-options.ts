import { z } from 'zod';
import type { ConnectContext } from '../../src/issue/certificate-authority.ts';
import { secretReference } from '../../src/issue/secret.ts';
import type { AdapterHttpOptions } from './http.ts';

/** How an adapter trusts its CA’s server, and shows who it is. */
export const tlsOptions = z
  .strictObject({
    caFile: z
      .string()
      .min(1)
      .optional()
      .describe(
        'A PEM file with the certificates that the server’s must chain to. Default: those that Node trusts.',
      ),
    certFile: z
      .string()
      .min(1)
      .optional()
      .describe('A PEM file with our own certificate (client authentication) and its chain.'),
    keyFile: z
      .string()
      .min(1)
      .optional()
      .describe('A PEM file with the private key of `certFile`, readable for the service alone.'),
    passphrase: secretReference
      .optional()
      .describe('The passphrase of `keyFile`, when it has one.'),
  })
  .refine(
    ({ certFile, keyFile }) => (certFile === undefined) === (keyFile === undefined),
    'certFile and keyFile belong together: give both or none',
  );

/** The same with absolute paths and the passphrase itself. */
export async function resolveTls(
  given: z.output<typeof tlsOptions> | undefined,
  context: ConnectContext,
): Promise<NonNullable<AdapterHttpOptions['tls']>> {
  const path = (file: string | undefined) =>
    file === undefined ? undefined : context.resolvePath(file);
  const passphrase = given?.passphrase;
  return {
    caFile: path(given?.caFile),
    certFile: path(given?.certFile),
    keyFile: path(given?.keyFile),
    passphrase: passphrase === undefined ? undefined : await context.readSecret(passphrase),
  };
}
