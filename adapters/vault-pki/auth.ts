import { z } from 'zod';
import type { ConnectContext } from '../../src/plug-in/certificate-authority.ts';
import { secretReference } from '../../src/plug-in/secret.ts';
import { neededBy } from '../shared/needed-options.ts';

const serviceAccountToken = '/var/run/secrets/kubernetes.io/serviceaccount/token';

/** How to get a token. One flat group, so that check-config can name each key. */
export const authOptions = z
  .strictObject({
    method: z
      .enum(['token', 'approle', 'kubernetes', 'jwt', 'cert'])
      .describe(
        '`token`: one that exists already; the others log in. `cert` shows the client certificate.',
      ),
    mount: z
      .string()
      .regex(/^[^/\s].*[^/\s]$/)
      .optional()
      .describe('Where the auth method is mounted; the method’s own name when it is absent.'),
    namespace: z
      .string()
      .min(1)
      .optional()
      .describe('The namespace of the auth method where it is not the same.'),
    token: secretReference
      .optional()
      .describe(
        'For `token`. The file of a Vault Agent may be given: it is read anew when needed.',
      ),
    roleId: z
      .union([z.string().min(1), secretReference])
      .optional()
      .describe('For `approle`: the role id, as text or by reference.'),
    secretId: secretReference
      .optional()
      .describe('For `approle`, unless its role has bind_secret_id=false.'),
    role: z
      .string()
      .min(1)
      .optional()
      .describe(
        'The role of `kubernetes` or `jwt`; with `cert` the name of one, else any that fits.',
      ),
    jwt: secretReference
      .optional()
      .describe(
        `For \`jwt\`, and for \`kubernetes\` where it is not in ${serviceAccountToken}. Read anew for every login.`,
      ),
  })
  .superRefine(
    neededBy({
      token: ['token'],
      approle: ['roleId'],
      kubernetes: ['role'],
      jwt: ['role', 'jwt'],
      cert: [],
    }),
  );

export type AuthOptions = z.output<typeof authOptions>;

/** What a login sends, and which parts of it are secret. Undefined: there is no login, only the token. */
export interface Credentials {
  readonly token?: string;
  readonly body: Readonly<Record<string, string>>;
  readonly secrets: readonly string[];
}

/** Reads the secrets where they are now: files may be rotated by others. */
export async function readCredentials(
  auth: AuthOptions,
  context: ConnectContext,
): Promise<Credentials> {
  const { method, role } = auth;
  const roleOf = role === undefined ? {} : { role };
  switch (method) {
    case 'token': {
      const token = auth.token === undefined ? '' : await context.readSecret(auth.token);
      return { token: token.trim(), body: {}, secrets: [token.trim()] };
    }
    case 'approle': {
      const { roleId = '', secretId } = auth;
      const id = typeof roleId === 'string' ? roleId : await context.readSecret(roleId);
      if (secretId === undefined) return { body: { role_id: id }, secrets: [] };
      const secret = await context.readSecret(secretId);
      return { body: { role_id: id, secret_id: secret }, secrets: [secret] };
    }
    case 'kubernetes':
    case 'jwt': {
      const jwt = await context.readSecret(auth.jwt ?? { file: serviceAccountToken });
      return { body: { ...roleOf, jwt }, secrets: [jwt] };
    }
    case 'cert':
      return { body: role === undefined ? {} : { name: role }, secrets: [] };
    default:
      return method satisfies never;
  }
}
