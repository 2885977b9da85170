import { X509Certificate } from 'node:crypto';
import type { ProcessView } from '../../simulator/simulated-process.ts';
import type { Breach } from './breach.ts';
import type { Evidence, JournalRow, LedgerRow } from './evidence.ts';
import { type PointTally, tallyPoints } from './point-tally.ts';
import type { Expected } from './population.ts';
import { type Takeovers, takeoversOf } from './takeovers.ts';

/*
 * What must hold whatever died. Each breach names the process and says what was found instead; nothing here relies on
 * the instances' own word, except that a surplus certificate of a CA without idempotency counts as reported when an
 * `orphan` line in a log names its process.
 */

export interface Verdict {
  readonly breaches: readonly Breach[];
  readonly certificates: CertificateTally;
  readonly takeovers: Takeovers;
  readonly points: readonly PointTally[];
}

interface CertificateTally {
  readonly issued: number;
  readonly revoked: number;
  /** Good ones that no device holds; each was told as an orphan. */
  readonly told: number;
}

export function judge(evidence: Evidence): Verdict {
  const told = new Set<string>();
  for (const { event, processId, revoked } of evidence.logLines) {
    if (event === 'orphan' && revoked === false && processId !== undefined) told.add(processId);
  }
  const breaches: Breach[] = [];
  const tally = { issued: 0, revoked: 0, told: 0 };
  for (const view of evidence.views) judgeProcess(view, evidence, told, tally, breaches);
  for (const { serial, authority } of evidence.strangers) {
    breaches.push({ kind: 'stranger', what: `${authority} issued ${serial} for no process.` });
  }
  for (const { event, text, processId } of evidence.logLines) {
    if (event !== 'bug') continue;
    breaches.push({ kind: 'bug', what: text, ...(processId === undefined ? {} : { processId }) });
  }
  for (const instance of evidence.deserted) {
    breaches.push({ kind: 'deserted', what: `${instance} ended by itself; see its log.` });
  }
  const { waiting, out } = evidence.messages;
  if (waiting + out > 0) {
    breaches.push({ kind: 'lost', what: `${waiting + out} messages were never acknowledged.` });
  }
  const takeovers = takeoversOf(evidence);
  // With a single instance that is killed again and again there is nobody to take over: it is counted, not judged.
  const judged = evidence.options.journal === 'postgres' ? takeovers.list : [];
  for (const late of judged.filter(({ afterMs }) => afterMs > takeovers.limitMs)) {
    const what = `Taken over ${late.afterMs} ms after ${late.from} died.`;
    breaches.push({ kind: 'takeover', processId: late.processId, what });
  }
  const points = tallyPoints(evidence);
  breaches.push(...points.breaches);
  return { breaches, certificates: tally, takeovers, points: points.list };
}

function judgeProcess(
  view: ProcessView,
  evidence: Evidence,
  told: ReadonlySet<string>,
  tally: { issued: number; revoked: number; told: number },
  breaches: Breach[],
): void {
  const processId = view.id;
  const breach = (kind: Breach['kind'], what: string) => breaches.push({ kind, processId, what });
  const expected = evidence.groupOf.get(processId)?.expected;
  if (expected === undefined) return void breach('stranger', 'Nobody added this device.');
  const row = evidence.journal.get(processId);
  if (row === undefined) breach('lost', `It is not in the journal; Google says ${view.state}.`);
  else if (row.outcome === null) breach('lost', `It is still open; Google says ${view.state}.`);
  else {
    const wrong = wrongEnd(view, row, expected);
    if (wrong !== undefined) breach('wrong-end', wrong);
  }
  const signings = view.carriedOut.signData;
  if (signings > 1) breach('signed-twice', `signData was carried out ${signings} times.`);

  const certificates = evidence.ledger.get(processId) ?? [];
  const good = certificates.filter(({ revoked }) => !revoked);
  tally.issued += certificates.length;
  tally.revoked += certificates.length - good.length;
  const surplus = good.length - (expected.kind === 'delivered' ? 1 : 0);
  if (surplus > 0) {
    if (told.has(processId)) tally.told += surplus;
    else breach('surplus', `Good certificates that nobody holds: ${surplus} (${named(good)}).`);
  }
  if (view.certificatePem !== undefined && !isAmong(view.certificatePem, good)) {
    breach('wrong-end', 'The uploaded certificate is not a good one of the ledger.');
  }
}

function wrongEnd(view: ProcessView, row: JournalRow, expected: Expected): string | undefined {
  const found = `Google says ${view.state} (${view.failureMessage ?? view.device.problem ?? 'no failure'}), the journal ${row.outcome} (${row.code ?? 'no code'})`;
  const isRight = {
    delivered: () => view.state === 'delivered' && view.device.accepted,
    refused: () =>
      view.state === 'failed' &&
      expected.kind === 'refused' &&
      view.failureMessage?.endsWith(`(${expected.code})`) === true,
    gone: () => view.state === 'gone',
  }[expected.kind]();
  if (isRight && row.outcome === expected.kind) return undefined;
  const code = expected.kind === 'refused' ? ` for ${expected.code}` : '';
  return `It should be ${expected.kind}${code}; ${found}.`;
}

function named(certificates: readonly LedgerRow[]): string {
  return certificates.map(({ authority, serial }) => `${authority} ${serial}`).join(', ');
}

function isAmong(pem: string, certificates: readonly LedgerRow[]): boolean {
  const der = new X509Certificate(pem).raw.toString('base64');
  return certificates.some(({ certificate }) => certificate === der);
}
