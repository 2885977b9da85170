import { z } from 'zod';
import type { Dialect } from '../shared/json-api.ts';

const errorBody = z.object({ error_message: z.string() });

/** EJBCA's REST API: errors are `{error_code, error_message}`. */
export const ejbcaDialect: Dialect = {
  said: (call, status) => `${call}: EJBCA answered ${status}`,
  ownWords: (json) => errorBody.safeParse(json).data?.error_message,
  hint: ({ status }) => hints[status] ?? 'Check the options against the profiles in EJBCA.',
};

const rights = 'Check the credentials and the rights of their role in EJBCA.';

const hints: Readonly<Record<number, string>> = {
  401: rights,
  403: rights,
  404: 'Check url and the names of CA and profiles, and that “REST Certificate Management” is enabled under System Configuration, Protocol Configuration.',
};
