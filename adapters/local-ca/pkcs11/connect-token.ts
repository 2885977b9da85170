import { z } from 'zod';
import type { ConnectContext } from '../../../src/plug-in/certificate-authority.ts';
import { secretReference } from '../../../src/plug-in/secret.ts';
import type { HierarchyOptions } from '../hierarchy.ts';
import { loadLibrary } from './library.ts';
import { Token } from './token.ts';
import { TokenKeys } from './token-keys.ts';

export const tokenOptions = z
  .strictObject({
    kind: z.literal('pkcs11').describe('A token that is spoken to by a PKCS#11 library.'),
    library: z
      .string()
      .min(1)
      .describe(
        'The PKCS#11 library of the token’s maker, such as /usr/lib/softhsm/libsofthsm2.so.',
      ),
    tokenLabel: z
      .string()
      .trim()
      .min(1)
      .max(32)
      .optional()
      .describe('Which token, by the label it was given when it was made. This or `slot`.'),
    slot: z
      .int()
      .min(0)
      .optional()
      .describe(
        'Which token, by the number of its slot. Numbers may change with a restart: prefer `tokenLabel`.',
      ),
    pin: secretReference.describe(
      'The user PIN. A wrong one is tried once: correct it, then restart the service.',
    ),
  })
  .refine(({ tokenLabel, slot }) => (tokenLabel === undefined) !== (slot === undefined), {
    path: ['tokenLabel'],
    error: 'is needed, or slot in its place; not both',
  });

/** Opens nothing yet, but loads the library. */
export async function connectToken(
  { library, tokenLabel, slot, pin }: z.output<typeof tokenOptions>,
  { directory, ...options }: HierarchyOptions & { readonly directory: string },
  context: ConnectContext,
): Promise<TokenKeys> {
  const place = { tokenLabel, slot, pin: await context.readSecret(pin) };
  const token = new Token(await loadLibrary(context.resolvePath(library)), place);
  return new TokenKeys(token, directory, options);
}
