import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import { isLoopback } from '../../src/network/host.ts';
import { readProxy } from '../../src/network/proxy.ts';
import type { ConnectContext } from '../../src/plug-in/certificate-authority.ts';
import { certificateFile } from '../../src/plug-in/pem-file.ts';
import { secretReference } from '../../src/plug-in/secret.ts';
import { messageOf } from '../../src/words/message-of.ts';
import { type AdapterHttp, adapterHttp } from './http.ts';
import type { AdapterTls } from './tls.ts';

/*
 * How to reach a CA over HTTP. Every kind takes the same options by the same names: `tls` and `proxy`.
 */

/** Whom an adapter trusts, and how it shows who it is. */
const tlsOptions = z
  .strictObject({
    caFile: certificateFile
      .optional()
      .describe(
        'File with the CAs (PEM, DER or .p7b) that the server’s certificate must chain to, instead of the usual public ones.',
      ),
    certFile: certificateFile
      .optional()
      .describe('PEM file with our own client certificate, followed by its chain.'),
    keyFile: z
      .string()
      .min(1)
      .optional()
      .describe('PEM file with the private key of certFile, readable for the service alone.'),
    passphrase: secretReference
      .optional()
      .describe('The passphrase of keyFile, where it is encrypted.'),
  })
  .refine(({ certFile, keyFile }) => (certFile === undefined) === (keyFile === undefined), {
    path: ['keyFile'],
    error: 'certFile and keyFile belong together',
  });

export const connectionOptions = {
  tls: tlsOptions
    .optional()
    .describe('Which server is trusted over TLS, and the client certificate it is shown.'),
  proxy: z
    .string()
    .superRefine((value, context) => {
      try {
        readProxy(value, 'The option');
      } catch (error) {
        const message = messageOf(error);
        context.addIssue({ code: 'custom', message });
      }
    })
    .optional()
    .describe(
      'An HTTP proxy on the way: its URL, or host:port. Without it HTTPS_PROXY, HTTP_PROXY and NO_PROXY count, but not for this very machine.',
    ),
} as const;

/** For a kind whose server may be spoken to without TLS when the administrator says so. */
export const plainHttpOption = z
  .boolean()
  .default(false)
  .describe(
    'Lets a URL begin with http although the server is another machine. Whoever sits between can then read credentials and forge answers.',
  );

/** An https URL; http only where nothing leaves this machine. */
export const serverUrl = z.string().refine((text) => {
  const url = URL.parse(text);
  if (url === null || url.username !== '' || url.password !== '') return false;
  const isLocal = url.protocol === 'http:' && isLoopback(url.hostname);
  return url.protocol === 'https:' || isLocal;
}, 'must be an https URL (http only on loopback) without a user name or password in it');

export interface ConnectionSettings {
  readonly tls?: z.output<typeof tlsOptions> | undefined;
  readonly proxy?: string | undefined;
}

/**
 * Opens nothing yet; reads the files and secrets that the options name.
 *
 * @throws {ProvisioningError} `ca-misconfigured` when a file cannot be read or used.
 */
export async function connectHttp(
  { tls = {}, proxy }: ConnectionSettings,
  context: ConnectContext,
  trusted: Pick<AdapterTls, 'ca' | 'unverified'> = {},
): Promise<AdapterHttp> {
  const { caFile, certFile, keyFile, passphrase } = tls;
  const located = (path: string | undefined) =>
    path === undefined ? undefined : context.resolvePath(path);
  const secret = passphrase === undefined ? undefined : await context.readSecret(passphrase);
  return adapterHttp({
    tls: {
      ...trusted,
      caFile: located(caFile),
      certFile: located(certFile),
      keyFile: located(keyFile),
      passphrase: secret,
    },
    proxy,
    clock: context.clock,
  });
}

/** @throws {ProvisioningError} `ca-misconfigured` for a URL with credentials in it, or one that is not safe. */
export function refuseUnsafeUrl(text: string, allowPlainHttp: boolean): void {
  const url = new URL(text);
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
