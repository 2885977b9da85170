import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import type { ConnectContext, SecretReference } from '../../src/issue/certificate-authority.ts';
import { secretReference } from '../../src/issue/secret.ts';
import { type AdapterHttp, adapterHttp, isLoopback } from './http.ts';

/** Options of every kind that speaks HTTP: spread them into the kind's own. */
export const httpOptions = {
  caFile: z
    .string()
    .min(1)
    .optional()
    .describe(
      'PEM file of the CAs that the server’s certificate may chain to, instead of the system’s.',
    ),
  certFile: z
    .string()
    .min(1)
    .optional()
    .describe('PEM file of the client certificate that is shown to the server, with its chain.'),
  keyFile: z
    .string()
    .min(1)
    .optional()
    .describe('PEM file of the client certificate’s private key.'),
  keyPassphrase: secretReference
    .optional()
    .describe('The passphrase of the private key, where it is encrypted.'),
  proxy: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe(
      'A proxy. Without it HTTPS_PROXY, HTTP_PROXY and NO_PROXY count, but not for this very machine.',
    ),
  allowPlainHttp: z
    .boolean()
    .default(false)
    .describe(
      'Lets a URL begin with http although the server is another machine. Whoever sits between can then read credentials and forge answers.',
    ),
};

export interface HttpSettings {
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  readonly keyPassphrase?: SecretReference | undefined;
  readonly proxy?: string | undefined;
  readonly allowPlainHttp: boolean;
}

/** @throws {ProvisioningError} `ca-misconfigured` when a file cannot be read or a URL is not safe. */
export async function httpFrom(
  settings: HttpSettings,
  urls: readonly string[],
  context: ConnectContext,
): Promise<AdapterHttp> {
  for (const url of urls) refuseUnsafe(new URL(url), settings.allowPlainHttp);
  const { caFile, certFile, keyFile, keyPassphrase, proxy } = settings;
  const located = (path: string | undefined) =>
    path === undefined ? undefined : context.resolvePath(path);
  const passphrase =
    keyPassphrase === undefined ? undefined : await context.readSecret(keyPassphrase);
  return adapterHttp({
    tls: {
      caFile: located(caFile),
      certFile: located(certFile),
      keyFile: located(keyFile),
      passphrase,
    },
    proxy,
    clock: context.clock,
  });
}

function refuseUnsafe(url: URL, allowPlainHttp: boolean): void {
  if (url.username !== '' || url.password !== '') {
    throw new ProvisioningError(
      'ca-misconfigured',
      `The URL of ${url.host} holds a user or password. Take it out and use the options made for credentials.`,
    );
  }
  if (url.protocol === 'https:' || isLoopback(url.hostname) || allowPlainHttp) return;
  throw new ProvisioningError(
    'ca-misconfigured',
    `${url.origin} is not https. Use https, or set allowPlainHttp when you accept what that means.`,
  );
}
