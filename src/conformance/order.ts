import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { inspect } from 'node:util';
import { ProvisioningError } from '../errors.ts';
import type {
  CertificateAuthority,
  Issuance,
  IssueRequest,
  KeyType,
  RequestedCertificate,
} from '../issue/certificate-authority.ts';
import { checkCertificate } from '../issue/check-certificate.ts';
import type { CertificateFacts } from '../x509/certificate.ts';
import { DeviceKey } from './device-key.ts';
import type { AdapterHarness, CaseContext } from './harness.ts';

const never = new AbortController().signal;
/** Real milliseconds within which an aborted call has to reject. */
const promptMs = 2_000;

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
  return { ...prepare, ...prepared, csr: key.request(wanted, additions) };
}

/** What the certificate says, once it has passed the same check as before every upload. */
export async function checked(
  { authority, harness }: CaseContext,
  order: IssueRequest,
  first: Issuance,
): Promise<CertificateFacts> {
  const answer = await settled(authority, order, first);
  if (answer.kind !== 'issued') assert.fail(`the order is ${inspect(answer)}`);
  return checkCertificate({
    certificate: answer.certificate,
    chain: answer.chain,
    subjectPublicKeyInfo: order.subjectPublicKeyInfo,
    wanted: order.wanted,
    roots: await harness.roots(),
    mayDrop: authority.features.mayDrop,
    now: Date.now(),
  });
}

/** The answer, or the end of it where it is pending: some CAs never answer an order at once. */
export async function settled(
  authority: CertificateAuthority,
  order: IssueRequest,
  first: Issuance,
): Promise<Issuance> {
  return first.kind === 'pending' ? collected(authority, order, first) : first;
}

/** The end of a pending order. */
export async function collected(
  authority: CertificateAuthority,
  order: IssueRequest,
  first: Issuance,
): Promise<Issuance> {
  assert.equal(first.kind, 'pending');
  assert(authority.features.pending, 'it answers `pending` without declaring it');
  let answer: Issuance = first;
  for (let round = 0; answer.kind === 'pending'; round++) {
    assert(round < 5, 'still pending after five looks');
    assert(answer.pollAfterMs > 0, 'pollAfterMs is not positive');
    // The journal keeps the ticket as JSON.
    const ticket = JSON.parse(JSON.stringify(answer.ticket));
    answer = await authority.collect(ticket, order, never);
  }
  return answer;
}

/** The error of a call that has to fail so that the process waits. */
export async function failure(call: Promise<unknown>): Promise<ProvisioningError> {
  try {
    assert.fail(`there is no error but ${inspect(await call)}`);
  } catch (error) {
    assert(error instanceof ProvisioningError, `not a ProvisioningError: ${inspect(error)}`);
    assert.notEqual(error.disposition, 'refuse', `${error.code} would refuse the device`);
    return error;
  }
}

/** Fails when the call takes longer than a moment. */
export async function prompt<Result>(call: PromiseLike<Result>): Promise<Result> {
  const over = new AbortController();
  const late = sleepFor(promptMs, undefined, { signal: over.signal }).then(() =>
    assert.fail(`not within ${promptMs} ms`),
  );
  try {
    return await Promise.race([call, late]);
  } finally {
    over.abort();
    await late.catch(() => undefined); // Ended by us.
  }
}
