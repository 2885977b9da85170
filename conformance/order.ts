import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { checkCertificate } from '../src/deliver/check-certificate.ts';
import { ProvisioningError } from '../src/errors.ts';
import type {
  CertificateAuthority,
  Collected,
  Issuance,
  IssueRequest,
} from '../src/plug-in/certificate-authority.ts';
import type {
  CsrNames,
  KeyType,
  RequestedCertificate,
} from '../src/request/requested-certificate.ts';
import type { CertificateFacts } from '../src/x509/certificate.ts';
import { described, NotShown } from './breach.ts';
import { DeviceKey } from './device-key.ts';
import type { AdapterHarness, CaseContext } from './harness.ts';
import { secondOpinion } from './second-opinion.ts';
import { within } from './within.ts';

const never = new AbortController().signal;
/** Real milliseconds within which an aborted call has to reject. */
const usualPromptMs = 2_000;

const usualWanted: RequestedCertificate = {
  subject: [[{ type: '2.5.4.3', value: 'contract.example.org' }]],
  subjectAltNames: [{ type: 'dns', value: 'contract.example.org' }],
  keyUsages: ['digitalSignature'],
  extendedKeyUsages: ['1.3.6.1.5.5.7.3.2'],
  validityDays: 90,
};

/**
 * An order with a key and a requestId of its own, prepared and signed as the lifecycle does it. A CA that
 * does not take this type of key gets one that it takes.
 */
export async function newOrder(
  {
    authority,
    harness,
  }: Pick<CaseContext, 'authority'> & { readonly harness: Pick<AdapterHarness, 'wanted'> },
  wish: KeyType,
  asked: Partial<RequestedCertificate> = {},
): Promise<IssueRequest> {
  const { keyTypes } = authority.features;
  const keyType = keyTypes.includes(wish) ? wish : (keyTypes[0] ?? wish);
  const key = new DeviceKey(keyType);
  const wanted = { ...usualWanted, ...harness.wanted, ...asked };
  const prepare = {
    requestId: randomBytes(16).toString('hex'),
    processId: `contract-${randomBytes(4).toString('hex')}`,
    keyType,
    subjectPublicKeyInfo: key.subjectPublicKeyInfo,
    subject: { kind: 'device', serialNumber: '5CD1234' },
    wanted,
  } as const;
  const additions = (await authority.prepare?.(prepare, never)) ?? {};
  const prepared = additions.state === undefined ? {} : { prepared: additions.state };
  const inCsr = { ...wanted, ...namesOf(authority.features.csrNames?.(wanted) ?? wanted) };
  return { ...prepare, ...prepared, csr: key.request(inCsr, additions) };
}

function namesOf({ subject, subjectAltNames }: CsrNames): CsrNames {
  return { subject, subjectAltNames };
}

/** What the certificate says, once it has passed the same check as before every upload, except for its chain. */
export async function checked(
  context: CaseContext,
  order: IssueRequest,
  first: Collected,
  roots: readonly Uint8Array[] = [],
): Promise<CertificateFacts> {
  const { authority } = context;
  const { certificate, chain } = await certified(context, authority, order, first);
  const facts = checkCertificate({
    certificate,
    chain,
    subjectPublicKeyInfo: order.subjectPublicKeyInfo,
    wanted: order.wanted,
    roots,
    mayDrop: authority.features.mayDrop,
    mayAdd: authority.features.mayAdd ?? [],
    now: Date.now(),
  });
  const other = await secondOpinion(facts, chain);
  assert(other === undefined, `a certificate that another reader takes otherwise: ${other}`);
  return facts;
}

/** The certificate of an order, which may be pending at first: some CAs never answer at once. */
export async function certified(
  { harness }: CaseContext,
  authority: CertificateAuthority,
  order: IssueRequest,
  first: Collected,
): Promise<Issuance & { readonly kind: 'issued' }> {
  const answer = await settled(authority, order, first, harness.patienceMs);
  assert(answer.kind === 'issued', `the order is ${shown(answer)}`);
  const bytes: readonly unknown[] = [answer.certificate, ...answer.chain];
  assert(
    bytes.every((der) => der instanceof Uint8Array),
    'certificates that are not bytes (Uint8Array, DER)',
  );
  return answer;
}

async function settled(
  authority: CertificateAuthority,
  order: IssueRequest,
  first: Collected,
  patienceMs?: number,
): Promise<Collected> {
  return first.kind === 'pending' ? collected(authority, order, first, patienceMs) : first;
}

/** The end of a pending order: of five looks in a row, or of as many as patience allows. */
export async function collected(
  authority: CertificateAuthority,
  order: IssueRequest,
  first: Collected,
  patienceMs = 0,
): Promise<Collected> {
  assert(first.kind === 'pending', `the first answer is ${shown(first)}, not pending`);
  assert(authority.features.pending, 'it answers `pending` without declaring it');
  assert(authority.collect !== undefined, 'it answers `pending` and has no collect()');
  const startedAt = Date.now();
  let answer: Collected = first;
  for (let round = 0; answer.kind === 'pending'; round++) {
    assert(answer.pollAfterMs > 0, 'pollAfterMs is not positive');
    if (patienceMs > 0) await waited(answer.pollAfterMs, startedAt + patienceMs);
    else assert(round < 5, 'still pending after five looks');
    // The journal keeps the ticket as JSON.
    const ticket = JSON.parse(JSON.stringify(answer.ticket));
    answer = await authority.collect(ticket, order, never);
  }
  return answer;
}

async function waited(pauseMs: number, until: number): Promise<void> {
  if (Date.now() + pauseMs > until) {
    throw new NotShown('The CA left the order pending: somebody has to approve it, or it is slow.');
  }
  await sleepFor(pauseMs);
}

/** The error of a call that has to fail so that the process waits. */
export async function failure(call: Promise<unknown>): Promise<ProvisioningError> {
  const error = await errorOf(call);
  assert(error instanceof ProvisioningError, `no ProvisioningError, but ${described(error)}`);
  assert(
    error.disposition !== 'refuse',
    `the error ${error.code}, with which the device would be refused`,
  );
  return error;
}

/** Holds that what a call fails with is exactly this reason. */
export async function endsWith(reason: unknown, error: Promise<unknown>): Promise<void> {
  const found = await error;
  assert(found === reason, `it failed with ${described(found)} instead of the signal’s reason`);
}

/** Within a moment. */
export function prompt<Result>(
  call: PromiseLike<Result>,
  { promptMs = usualPromptMs }: Pick<AdapterHarness, 'promptMs'>,
): Promise<Result> {
  return within(promptMs, call);
}

/** What a call fails with; it fails itself where the call does not. */
export async function errorOf(call: Promise<unknown>): Promise<unknown> {
  let answer: unknown;
  try {
    answer = await call;
  } catch (error) {
    return error;
  }
  return assert.fail(`the call went through: ${shown(answer)}`);
}

/** An answer without what it holds. */
function shown(answer: unknown): string {
  if (typeof answer !== 'object' || answer === null || !('kind' in answer)) {
    return `no answer of the contract (${typeof answer})`;
  }
  const reason = 'reason' in answer ? ` (${String(answer.reason)})` : '';
  return `\`${String(answer.kind)}\`${reason}`;
}
