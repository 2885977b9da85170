import { z } from 'zod';
import { secretReference } from '../../src/plug-in/secret.ts';
import { connectionOptions, serverUrl } from '../shared/connection.ts';

export const options = z.strictObject({
  certificateAuthorityArn: z
    .string()
    .regex(
      /^arn:aws[a-z-]*:acm-pca:[a-z0-9-]+:\d{12}:certificate-authority\/[A-Za-z0-9-]{1,64}$/,
      'must be arn:aws:acm-pca:REGION:ACCOUNT:certificate-authority/ID',
    )
    .describe(
      'The CA: `arn:aws:acm-pca:REGION:ACCOUNT:certificate-authority/ID`. The region is taken from it.',
    ),
  template: z
    .string()
    .regex(
      /^(arn:aws[a-z-]*:acm-pca:::template\/)?[A-Za-z_]{1,100}\/V1$/,
      'must be a template’s name, e.g. EndEntityClientAuthCertificate/V1, or its ARN',
    )
    .default('EndEntityClientAuthCertificate/V1')
    .describe(
      'The template: its name or ARN. The default certifies the CSR’s subject and names for client authentication; `BlankEndEntityCertificate_APICSRPassthrough/V1` takes usages and other extensions (a SID) from the request too. A profile’s own `template` comes before it.',
    ),
  signingAlgorithm: z
    .enum([
      'SHA256WITHECDSA',
      'SHA384WITHECDSA',
      'SHA512WITHECDSA',
      'SHA256WITHRSA',
      'SHA384WITHRSA',
      'SHA512WITHRSA',
    ])
    .optional()
    .describe('How the CA signs; of its own key’s family. Without it the CA is asked.'),
  credentials: z
    .union([
      z.literal('default'),
      z.strictObject({
        accessKeyId: z
          .string()
          .regex(/^[A-Z0-9]{16,128}$/)
          .describe('The access key’s id, which is no secret.'),
        secretAccessKey: secretReference.describe('The access key.'),
        sessionToken: secretReference
          .optional()
          .describe('The session token of temporary credentials.'),
      }),
    ])
    .default('default')
    .describe(
      'Who asks: `default` is the SDK’s own chain (environment, shared files, web identity, instance or task role); or an access key, `{ accessKeyId, secretAccessKey, sessionToken }`, the last two by reference. Needs acm-pca:IssueCertificate, GetCertificate, DescribeCertificateAuthority and RevokeCertificate.',
    ),
  pollSeconds: z
    .number()
    .min(1)
    .max(3600)
    .default(2)
    .describe('How soon a certificate is asked for; the CA usually needs a second or two.'),
  endpoint: serverUrl
    .optional()
    .describe('Another endpoint, e.g. of a VPC. Without it the region’s own.'),
  ...connectionOptions,
});

export type Options = z.output<typeof options>;
