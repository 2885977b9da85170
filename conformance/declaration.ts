import { z } from 'zod';
import type { CertificateAuthority } from '../src/plug-in/certificate-authority.ts';
import { droppableParts } from '../src/plug-in/certificate-authority.ts';

/** What a plug-in that nobody type-checked may have got wrong. */
const features = z.object({
  idempotent: z.boolean(),
  findsEarlier: z.boolean().optional(),
  pending: z.boolean(),
  revoke: z.boolean(),
  keyTypes: z.array(z.enum(['rsa', 'ec'])).min(1),
  mayDrop: z.array(z.enum(droppableParts)),
  mayAdd: z.array(z.string()).optional(),
});

const method = z.custom((value) => typeof value === 'function', 'it is not a function');

const members = z.object({
  kind: z.string().min(1),
  features,
  check: method,
  prepare: method.optional(),
  issue: method,
  collect: method.optional(),
  revoke: method.optional(),
});

/** What is missing or of the wrong type in a connected CA, a short text each. */
export function declarationProblems(authority: CertificateAuthority): string[] {
  const { kind, check, prepare, issue, collect, revoke } = authority;
  const found = { kind, features: authority.features, check, prepare, issue, collect, revoke };
  const parsed = members.safeParse(found);
  if (!parsed.success) {
    return parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  }
  const problems: string[] = [];
  if (parsed.data.features.pending && collect === undefined) {
    problems.push('it declares `pending: true` and has no method collect');
  }
  if (parsed.data.features.revoke !== (revoke !== undefined)) {
    const has = revoke === undefined ? 'has no method revoke' : 'has a method revoke';
    problems.push(`it ${has} and declares \`revoke: ${authority.features.revoke}\``);
  }
  if (typeof authority[Symbol.asyncDispose] !== 'function') {
    problems.push('it has no method [Symbol.asyncDispose]');
  }
  return problems;
}
