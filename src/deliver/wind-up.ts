import { isErrorCode, ProvisioningError } from '../errors.ts';
import { ageOf } from '../journal/age.ts';
import { disown, partyOf, reportKept } from '../visit/orphan.ts';
import { end, type Step, type Visit, type VisitContext } from '../visit/visit.ts';

/*
 * A process that ended with a certificate nobody will get: it is revoked where the authority can, and operators hear of
 * it either way. What the authority cannot do now is tried for as long as an order may take.
 */
export async function windUp(
  visit: Visit,
  context: VisitContext,
  signal: AbortSignal,
): Promise<Step> {
  const { record } = visit;
  const { ending } = record;
  if (ending === undefined) throw new Error('The record has no ending.');
  const code = ending.code !== undefined && isErrorCode(ending.code) ? ending.code : undefined;
  const over = end(record, ending.outcome, ending.message, code);
  await visit.save(record);
  if (record.issued?.mayBeInUse === true) {
    reportKept(visit, context, 'The process has gone, but its device may hold this certificate.');
    return over;
  }
  try {
    await disown(partyOf(visit, record, context), record, 'cessationOfOperation', signal);
    return over;
  } catch (error) {
    const passing = error instanceof ProvisioningError && error.disposition !== 'refuse';
    const triedMs = ageOf(record, context.clock.now()) - (ending.decidedAge ?? 0);
    if (passing && triedMs < context.issuingDeadlineMs) throw error;
    if (!(error instanceof ProvisioningError)) throw error;
    reportKept(visit, context, error.message);
    return over;
  }
}
