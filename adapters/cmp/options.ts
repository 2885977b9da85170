import { z } from 'zod';
import { certificateFile } from '../../src/plug-in/pem-file.ts';
import { secretReference } from '../../src/plug-in/secret.ts';
import { NameError, parseName } from '../../src/x509/distinguished-name.ts';
import { connectionOptions } from '../shared/connection.ts';

const file = z.string().min(1);
const name = z
  .string()
  .min(1)
  .superRefine((text, context) => {
    try {
      parseName(text);
    } catch (error) {
      if (!(error instanceof NameError)) throw error;
      context.addIssue(error.message);
    }
  });

/** The options of the kind `cmp`. */
export const cmpOptions = z
  .strictObject({
    url: z
      .url({ protocol: /^https?$/ })
      .describe(
        'Where the CA (or its registration authority) takes CMP over HTTP, e.g. `https://ca.example.org/.well-known/cmp/p/wifi`. Messages are protected by themselves: http is allowed.',
      ),
    reference: z
      .string()
      .min(1)
      .max(256)
      .optional()
      .describe('Protection by a secret: the reference value (senderKID) that tells the CA which.'),
    secret: secretReference.optional().describe('Protection by a secret: the secret itself.'),
    mac: z
      .enum(['pbm', 'pbmac1'])
      .default('pbm')
      .describe(
        'Protection by a secret: `pbm` is what every CA knows (here with SHA-256 and HMAC-SHA-256), `pbmac1` is newer.',
      ),
    iterations: z
      .int()
      .min(100)
      .max(100_000)
      .default(1_000)
      .describe('Protection by a secret: how often it is hashed for each message.'),
    signerCertFile: certificateFile
      .optional()
      .describe(
        'Protection by signature: a PEM file with our certificate (the registration authority’s) and its intermediates behind it.',
      ),
    signerKeyFile: file
      .optional()
      .describe(
        'Protection by signature: a PEM file with the private key (RSA, EC P-256 or P-384).',
      ),
    signerKeyPassphrase: secretReference
      .optional()
      .describe('The passphrase of `signerKeyFile`, when it has one.'),
    responderRoots: certificateFile
      .optional()
      .describe(
        'A PEM file with the certificates that the signer of the CA’s answers is, or chains to. Needed when answers are signed.',
      ),
    responderName: name
      .optional()
      .describe(
        'The subject (RFC 4514) of the certificate that signs answers, where it is neither a CA’s nor marked cmcCA or cmcRA.',
      ),
    recipient: name
      .optional()
      .describe('The CA’s subject (RFC 4514), where it looks at it. Default: the empty name.'),
    certProfile: z
      .string()
      .min(1)
      .max(256)
      .optional()
      .describe('The CA’s certificate profile (RFC 9480 certProfile), where the URL does not say.'),
    implicitConfirm: z
      .boolean()
      .default(true)
      .describe(
        'Ask the CA to do without our confirmation. Where it does not grant that, the certificate is confirmed.',
      ),
    pollSeconds: z
      .number()
      .min(1)
      .max(21_600)
      .default(30)
      .describe('How soon a waiting order is asked after for the first time; then the CA says.'),
    revoke: z
      .boolean()
      .default(true)
      .describe('Whether the CA takes revocation requests (rr) from us.'),
    check: z
      .enum(['genm', 'probe'])
      .default('probe')
      .describe(
        'How to see whether the CA is up: `genm` asks a protected question, which proves the credentials too; `probe` only looks whether something answers HTTP at the URL.',
      ),
    ...connectionOptions,
  })
  .superRefine((given, context) => {
    const { reference, secret, signerCertFile, signerKeyFile, responderRoots } = given;
    const hasSecret = reference !== undefined && secret !== undefined;
    const hasSigner = signerCertFile !== undefined && signerKeyFile !== undefined;
    const half = (reference ?? secret) !== undefined && !hasSecret;
    const otherHalf = (signerCertFile ?? signerKeyFile) !== undefined && !hasSigner;
    if (half || otherHalf || hasSecret === hasSigner) {
      context.addIssue(
        'give either reference and secret, or signerCertFile and signerKeyFile: CMP needs one kind of protection',
      );
    }
    if (hasSigner && responderRoots === undefined) {
      context.addIssue({
        code: 'custom',
        path: ['responderRoots'],
        message: 'is needed with signerCertFile: the CA’s answers are signed then',
      });
    }
  });

export type CmpOptions = z.output<typeof cmpOptions>;
