import { z } from 'zod';
import type { ConnectContext } from '../../src/issue/certificate-authority.ts';
import { secretReference } from '../../src/issue/secret.ts';
import { type AdapterHttp, type AdapterTls, adapterHttp } from './http.ts';

/** How to reach a CA over HTTP, for the options of any kind. */
export const connectionOptions = {
  tls: z
    .strictObject({
      caFile: z
        .string()
        .min(1)
        .optional()
        .describe(
          'PEM file with the root that the server’s certificate chains to; the system’s roots otherwise.',
        ),
      certFile: z
        .string()
        .min(1)
        .optional()
        .describe('PEM file with our own client certificate and its chain.'),
      keyFile: z
        .string()
        .min(1)
        .optional()
        .describe('PEM file with the key of the client certificate.'),
      keyPassword: secretReference
        .optional()
        .describe('The password of the client certificate’s key, when it is encrypted.'),
    })
    .refine(
      ({ certFile, keyFile }) => (certFile === undefined) === (keyFile === undefined),
      'certFile and keyFile belong together',
    )
    .optional()
    .describe('Which server is trusted, and how we show who we are.'),
  proxy: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe('URL of an HTTP proxy on the way to the CA; connections are direct without it.'),
} as const;

const connection = z.strictObject(connectionOptions);

/** Opens nothing yet; reads the files and secrets that the options name. */
export async function connectHttp(
  { tls, proxy }: z.output<typeof connection>,
  context: ConnectContext,
  trusted: Pick<AdapterTls, 'ca' | 'unverified'> = {},
): Promise<AdapterHttp> {
  const { caFile, certFile, keyFile, keyPassword } = tls ?? {};
  const passphrase = keyPassword === undefined ? undefined : await context.readSecret(keyPassword);
  return adapterHttp({
    clock: context.clock,
    ...(proxy === undefined ? {} : { proxy }),
    tls: {
      ...trusted,
      ...(caFile === undefined ? {} : { caFile: context.resolvePath(caFile) }),
      ...(certFile === undefined ? {} : { certFile: context.resolvePath(certFile) }),
      ...(keyFile === undefined ? {} : { keyFile: context.resolvePath(keyFile) }),
      ...(passphrase === undefined ? {} : { passphrase }),
    },
  });
}
