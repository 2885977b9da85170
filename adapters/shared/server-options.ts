import { z } from 'zod';

/** Trust and client certificate, as options of an adapter. */
export const tlsOptions = z
  .strictObject({
    caFile: z
      .string()
      .min(1)
      .optional()
      .describe(
        'PEM file with the certificates that the server’s certificate must chain to. Without it: the usual public roots.',
      ),
    certFile: z
      .string()
      .min(1)
      .optional()
      .describe('PEM file with our client certificate, followed by its intermediates.'),
    keyFile: z
      .string()
      .min(1)
      .optional()
      .describe(
        'PEM file with the client certificate’s private key; readable for the service only.',
      ),
  })
  .refine(({ certFile, keyFile }) => (certFile === undefined) === (keyFile === undefined), {
    path: ['keyFile'],
    error: 'certFile and keyFile belong together',
  });

export const proxyOption = z
  .url({ protocol: /^https?$/ })
  .optional()
  .describe('The HTTP proxy to use. Without it HTTPS_PROXY and NO_PROXY of the environment count.');

/** An https URL; http only where nothing leaves this machine. */
export const serverUrl = z.string().refine((text) => {
  const url = URL.parse(text);
  if (url === null || url.username !== '' || url.password !== '') return false;
  const local = /^(localhost|\[::1\]|127(\.\d{1,3}){3})$/.test(url.hostname);
  return url.protocol === 'https:' || (url.protocol === 'http:' && local);
}, 'must be an https URL (http only on loopback) without a user name or password in it');
