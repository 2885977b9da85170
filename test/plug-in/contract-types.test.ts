import {
  type CertificateAuthority,
  type Collected,
  type ConnectContext,
  defineAdapter,
  type ErrorCode,
  type Issuance,
  type IssueRequest,
  type Opaque,
  ProvisioningError,
  type SecretReference,
  secretReference,
  z,
} from 'certprov';
import {
  type AdapterHarness,
  adapterHarness,
  type CaUnderTest,
  describeAdapter,
  type NotSupported,
} from 'certprov/conformance';
import { describe, expectTypeOf, it } from 'vitest';

/*
 * What the compiler knows of a plug-in. `npm run check` judges it against the sources, and packed.test.ts against the
 * types that are published; run as a test it says nothing.
 */

const options = z.strictObject({
  url: z.url(),
  token: secretReference,
  days: z.number().optional(),
  hash: z.string().transform((text) => text.length),
});

interface Options {
  url: string;
  token: { env: string } | { file: string };
  days?: number | undefined;
  hash: number;
}

const issued: Issuance = { kind: 'issued', certificate: new Uint8Array(), chain: [] };

const withoutCollect: CertificateAuthority = {
  kind: 'at-once',
  features: { idempotent: true, pending: false, revoke: false, keyTypes: ['rsa'], mayDrop: [] },
  check: async () => undefined,
  issue: async () => issued,
  [Symbol.asyncDispose]: async () => undefined,
};

describe('what the compiler knows of a plug-in', () => {
  it('gives connect, rootFiles and backup the options as they are after parsing', () => {
    const adapter = defineAdapter({
      kind: 'mine',
      options,
      rootFiles(given) {
        expectTypeOf(given).toEqualTypeOf<Options>();
        return [];
      },
      async backup(given, resolvePath, into) {
        expectTypeOf(given).toEqualTypeOf<Options>();
        expectTypeOf(resolvePath).toEqualTypeOf<(path: string) => string>();
        expectTypeOf(into).toBeString();
        return into;
      },
      async connect(given, context, signal) {
        expectTypeOf(given).toEqualTypeOf<Options>();
        expectTypeOf(context.readSecret).toBeCallableWith(given.token);
        expectTypeOf(context).toEqualTypeOf<ConnectContext>();
        expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
        return withoutCollect;
      },
    });
    expectTypeOf(adapter.options).toEqualTypeOf(options);
    expectTypeOf(adapter.kind).toBeString();
  });

  it('gives the methods of a CA written on the spot their parameters', () => {
    defineAdapter({
      kind: 'mine',
      options,
      connect: async () => ({
        ...withoutCollect,
        async issue(request, signal) {
          expectTypeOf(request).toEqualTypeOf<IssueRequest>();
          expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
          return { kind: 'pending', ticket: { order: [1, 'two', null] }, pollAfterMs: 1_000 };
        },
        async collect(ticket, request) {
          expectTypeOf(ticket).toEqualTypeOf<Opaque>();
          expectTypeOf(request.csr).toEqualTypeOf<Uint8Array>();
          return { kind: 'lost', reason: 'The CA was installed anew.' };
        },
      }),
    });
  });

  it('wants collect only of a CA that has something to collect', () => {
    expectTypeOf(withoutCollect).toExtend<CertificateAuthority>();
    expectTypeOf<CertificateAuthority['collect']>().toEqualTypeOf<
      | ((ticket: Opaque, request: IssueRequest, signal: AbortSignal) => Promise<Collected>)
      | undefined
    >();
    // As plug-ins were written before it was optional.
    const withCollect = { ...withoutCollect, collect: async () => issued };
    expectTypeOf(withCollect).toExtend<CertificateAuthority>();
    // @ts-expect-error: issue() is what a CA is for.
    const withoutIssue: CertificateAuthority = { ...withoutCollect, issue: undefined };
    expectTypeOf(withoutIssue).toExtend<CertificateAuthority>();
  });

  it('tells the answers of a CA apart by their kind', () => {
    expectTypeOf<Issuance['kind']>().toEqualTypeOf<'issued' | 'pending' | 'rejected'>();
    expectTypeOf<Collected['kind']>().toEqualTypeOf<Issuance['kind'] | 'lost'>();
    expectTypeOf<Extract<Issuance, { kind: 'rejected' }>>().toEqualTypeOf<{
      readonly kind: 'rejected';
      readonly reason: string;
    }>();
    // @ts-expect-error: PEM is a text, and the contract wants DER.
    const pem: Issuance = { kind: 'issued', certificate: '-----BEGIN', chain: [] };
    // @ts-expect-error: a date does not survive the journal.
    const ticket: Issuance = { kind: 'pending', ticket: { at: new Date() }, pollAfterMs: 1 };
    expectTypeOf([pem, ticket]).toEqualTypeOf<Issuance[]>();
  });

  it('takes only codes that say who must act', () => {
    expectTypeOf(ProvisioningError).toBeConstructibleWith('ca-unavailable', 'Nobody answers.');
    expectTypeOf<'ca-throttled' | 'ca-misconfigured' | 'ca-bad-answer'>().toExtend<ErrorCode>();
    // @ts-expect-error: no such code.
    expectTypeOf<ErrorCode>().toExtend<'ca-down'>();
  });

  it('lets older hosts be older: what came later to the context may be missing', () => {
    expectTypeOf<undefined>().toExtend<ConnectContext['warn']>();
    expectTypeOf<undefined>().toExtend<ConnectContext['memory']>();
    expectTypeOf<ConnectContext['readSecret']>().toEqualTypeOf<
      (reference: SecretReference) => Promise<string>
    >();
  });

  it('makes a harness of any adapter, and hands it to any test runner', () => {
    const adapter = defineAdapter({ kind: 'mine', options, connect: async () => withoutCollect });
    expectTypeOf(adapterHarness).toBeCallableWith(adapter);
    expectTypeOf(adapterHarness).returns.toEqualTypeOf<AdapterHarness>();
    const ca: CaUnderTest = { hooks: { reject: { notSupported: 'It takes everything.' } } };
    expectTypeOf(adapterHarness).toBeCallableWith(adapter, ca);
    expectTypeOf<NotSupported>().toEqualTypeOf<{ readonly notSupported: string }>();
    const setUp = async () => adapterHarness(adapter, ca);
    expectTypeOf(describeAdapter).toBeCallableWith('mine', setUp, { describe, it });
  });
});
