import { describe, expect, it } from 'vitest';
import { declarationProblems } from '../../conformance/declaration.ts';
import type { CertificateAuthority } from '../../src/plug-in/certificate-authority.ts';

const never = () => Promise.reject(new Error('not in this test'));

/** A CA whose `pending` and `collect` are as given. */
function authority(pending: boolean, collect?: typeof never): CertificateAuthority {
  return {
    kind: 'mine',
    features: { idempotent: false, pending, revoke: false, keyTypes: ['ec'], mayDrop: [] },
    check: never,
    issue: never,
    ...(collect === undefined ? {} : { collect }),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

describe('a declaration', () => {
  it('that leaves orders pending has a method that asks after them', () => {
    expect(declarationProblems(authority(true))).toEqual([
      'it declares `pending: true` and has no method collect',
    ]);
    expect(declarationProblems(authority(true, never))).toEqual([]);
  });

  it('that leaves none may lack that method, or have it as older plug-ins do', () => {
    expect(declarationProblems(authority(false))).toEqual([]);
    expect(declarationProblems(authority(false, never))).toEqual([]);
  });
});
