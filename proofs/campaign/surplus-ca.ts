import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import localCa from '../../adapters/local-ca/local-ca.ts';
import {
  type AuthorityFeatures,
  type CertificateAuthority,
  defineAdapter,
  type Issuance,
  type IssueRequest,
  type RevocationReason,
} from '../../src/plug-in/certificate-authority.ts';
import type { Opaque } from '../../src/plug-in/opaque.ts';

/*
 * A CA that knows no idempotency key, for the campaign: every order gives another certificate, each in the
 * ledger under `requestId/chance`. A profile's template `pending` leaves an order pending for a second. Users are left pending
 * for longer, and declined: it has issued for a device of their profile by then, so that it is believed.
 */

const options = z.strictObject({
  directory: z.string().describe('Where its ledger and keys are.'),
  revokes: z.boolean().describe('Whether it can revoke.'),
});

export default defineAdapter({
  kind: 'surplus-ca',
  options,
  async connect({ directory, revokes }, context, signal) {
    const inner = await localCa.connect(
      localCa.options.parse({ directory, name: 'SIMULATOR - NOT FOR PRODUCTION' }),
      context,
      signal,
    );
    return new SurplusCa(inner, revokes);
  },
});

class SurplusCa implements CertificateAuthority {
  readonly kind = 'surplus-ca';
  readonly features: AuthorityFeatures;
  readonly revoke?: NonNullable<CertificateAuthority['revoke']>;
  readonly #inner: CertificateAuthority;

  constructor(inner: CertificateAuthority, revokes: boolean) {
    this.#inner = inner;
    this.features = { ...inner.features, idempotent: false, pending: true, revoke: revokes };
    if (revokes) {
      this.revoke = async (
        certificate: Uint8Array,
        reason: RevocationReason,
        signal: AbortSignal,
      ) => {
        await inner.revoke?.(certificate, reason, signal);
      };
    }
  }

  check(signal: AbortSignal): Promise<void> {
    return this.#inner.check(signal);
  }

  async prepare() {
    return { state: { prepared: true } };
  }

  async issue(request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
    const key = `${request.requestId}/${randomBytes(8).toString('hex')}`;
    const { template } = request.wanted;
    const pollAfterMs = isDeclined(request) ? 3_000 : 1_000;
    if (template === 'pending' || isDeclined(request))
      return { kind: 'pending', ticket: key, pollAfterMs };
    return this.#inner.issue({ ...request, requestId: key }, signal);
  }

  async collect(ticket: Opaque, request: IssueRequest, signal: AbortSignal): Promise<Issuance> {
    if (isDeclined(request)) return { kind: 'rejected', reason: 'An officer said no.' };
    return this.#inner.issue({ ...request, requestId: String(ticket) }, signal);
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#inner[Symbol.asyncDispose]();
  }
}

function isDeclined({ subject }: IssueRequest): boolean {
  return subject.kind === 'user';
}
