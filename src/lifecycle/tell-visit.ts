import { isErrorCode, ProvisioningError } from '../errors.ts';
import type { Events } from '../events/events.ts';
import type { Entry } from '../journal/journal.ts';
import type { ProcessRecord } from '../journal/process-record.ts';
import { type End, type Step, type Visit, whoOf } from '../visit/visit.ts';
import { roomOf } from './lifecycle.ts';

/* What the worker tells of a visit. */

export function tellTrouble(events: Events, visit: Visit, error: unknown, step: Step): void {
  const { entry, record } = visit;
  const about = { processId: entry.processId, ...whoOf(record) };
  if (!(error instanceof ProvisioningError)) events.emit('bug', { ...about, error });
  else if (step.kind === 'wait') {
    events.emit('trouble', {
      ...about,
      room: roomOf(record),
      code: error.code,
      message: error.message,
      againInMs: step.forMs,
      ...namedAuthority(record),
    });
  }
}

/** Tells when a process leaves a room. */
export function tellStage(
  events: Events,
  visit: Visit,
  after: ProcessRecord,
  now: number,
  isOver = false,
): void {
  const { entry, record } = visit;
  const room = roomOf(record);
  if (!isOver && roomOf(after) === room) return;
  const seconds = Math.max(0, now - enteredAt(entry, record)) / 1_000;
  const { processId } = entry;
  events.emit('stage', { processId, ...whoOf(after), room, seconds, ...namedAuthority(after) });
}

/** When the process came into the room it is in, for the time it has spent there. */
export function enteredAt(entry: Entry, record: ProcessRecord): number {
  switch (roomOf(record)) {
    case 'claim':
      return entry.openedAt;
    case 'possession':
      return record.claim?.claimedAt ?? entry.openedAt;
    case 'issue':
      return record.order?.intendedAt ?? entry.openedAt;
    case 'deliver':
      return record.refusal?.decidedAt ?? record.issued?.issuedAt ?? entry.openedAt;
  }
}

export function tellClosed(events: Events, entry: Entry, step: End, now: number): void {
  const { outcome, code, message, record } = step;
  const { serialNumber } = record.issued ?? {};
  events.emit('closed', {
    processId: entry.processId,
    ...whoOf(record),
    outcome,
    message,
    seconds: Math.max(0, now - entry.openedAt) / 1_000,
    ...namedAuthority(record),
    ...(code === undefined || !isErrorCode(code) ? {} : { code }),
    ...(serialNumber === undefined ? {} : { serialNumber }),
  });
}

function namedAuthority({ request }: ProcessRecord): { readonly authority?: string } {
  return request === undefined ? {} : { authority: request.authority };
}
