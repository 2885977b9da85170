import { z } from 'zod';
import type { Dialect } from '../shared/json-api.ts';

const errorBody = z.object({ errors: z.array(z.string()) });

/** 412: a performance standby that has not caught up; 472 to 474: a node that cannot serve now. */
const passing: readonly number[] = [412, 472, 473, 474];

/** Vault's HTTP API (developer.hashicorp.com/vault/api-docs, openbao.org/api-docs): `{"errors": […]}`. */
export const vaultDialect: Dialect = {
  said: (call, status) => `${call}: Vault answered ${status}`,
  ownWords: (json) => errorBody.safeParse(json).data?.errors.join('; '),
  statusOf: ({ status }) => (passing.includes(status) ? 503 : status),
  hint: ({ status }) => hints[status] ?? 'Check the options against the role and the mount.',
};

const hints: Readonly<Record<number, string>> = {
  403: 'Check the credentials and the policy.',
  404: 'Check url, mount, namespace and role.',
};
