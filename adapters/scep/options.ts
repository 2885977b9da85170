import { z } from 'zod';
import { certificateFile } from '../../src/plug-in/pem-file.ts';
import { secretReference } from '../../src/plug-in/secret.ts';
import { connectionOptions } from '../shared/connection.ts';

const httpUrl = z.url({ protocol: /^https?$/ });

function isSecure(url: string): boolean {
  return new URL(url).protocol === 'https:';
}

const fingerprint = z
  .string()
  .transform((text) => text.replaceAll(/[:\s]/g, '').toLowerCase())
  .refine(
    (text) => /^[0-9a-f]{64}$/.test(text),
    'not a SHA-256 fingerprint: 64 hexadecimal digits, with or without colons',
  );

const ndes = z.strictObject({
  url: z
    .url({ protocol: /^https$/ })
    .describe(
      'The administration page: https://HOST/certsrv/mscep_admin/ (Basic authentication needs https).',
    ),
  username: z
    .string()
    .min(1)
    .describe('An account with the right to enrol for NDES’s templates, as DOMAIN\\user.'),
  password: secretReference.describe('Its password.'),
});

const ra = z.strictObject({
  certificateFile: certificateFile.describe(
    'PEM file with the RA certificate (RSA) that the CA knows.',
  ),
  key: secretReference.describe('Its private key, PEM, not encrypted.'),
});

export const scepOptions = z
  .strictObject({
    url: httpUrl.describe(
      'The SCEP server’s URL without a query, for NDES http(s)://HOST/certsrv/mscep/mscep.dll.',
    ),
    caIdentifier: z
      .string()
      .min(1)
      .optional()
      .describe('Sent with GetCACaps and GetCACert, for servers with several CAs.'),
    caFingerprints: z
      .array(fingerprint)
      .default([])
      .describe(
        'SHA-256 fingerprints of the CA certificates that GetCACert may give; a registration authority’s certificates must chain to one. Name the CA that issues and not the root above it: whoever has another CA below a root that is named here (a firewall that looks into TLS, for one) could put itself between. Required where url is http, because nothing else says who answers.',
      ),
    raFingerprints: z
      .array(fingerprint)
      .default([])
      .describe(
        'SHA-256 fingerprints of the certificates that messages are encrypted to and replies signed with, where these are not marked as a registration authority’s (extended key usage Certificate Request Agent or cmcRA), as NDES’s are. With any of them no other is one.',
      ),
    challenge: secretReference
      .optional()
      .describe(
        'The challenge password that stays the same for all requests, if the server wants one.',
      ),
    ndes: ndes
      .optional()
      .describe('Where a challenge for each request comes from. Not together with challenge.'),
    ra: ra
      .optional()
      .describe('Signs our messages. Without it each order has a self-signed certificate.'),
    keyTypes: z
      .array(z.enum(['rsa', 'ec']))
      .min(1)
      .default(['rsa', 'ec'])
      .describe(
        'The device keys that this server takes. micromdm’s scepserver, for one, takes only rsa.',
      ),
    pollSeconds: z
      .number()
      .positive()
      .max(86_400)
      .default(60)
      .describe(
        'How soon a pending order is asked after; the pauses double, up to half an hour or to this.',
      ),
    ...connectionOptions,
  })
  .refine((given) => isSecure(given.url) || given.caFingerprints.length > 0, {
    path: ['caFingerprints'],
    error:
      'url is http, so nothing says who answers. Fix: give the CA certificate’s SHA-256 fingerprint here (openssl x509 -noout -fingerprint -sha256), or use https',
  })
  .refine((given) => given.challenge === undefined || given.ndes === undefined, {
    path: ['ndes'],
    error: 'challenge and ndes exclude each other. Fix: keep the one that the server wants',
  });
