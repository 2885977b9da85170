import { EventEmitter } from 'node:events';
import type { ErrorCode } from '../errors.ts';
import type { Subject } from '../request/requested-certificate.ts';
import type { Outcome, Room } from '../request/room.ts';

/*
 * The single seam between the work and what is told about it: the work emits, log and metrics listen. Events say who
 * asks, but only for the log. No event carries a secret, a name template's raw values, or a CA's ticket.
 */

export type CaCall = 'check' | 'prepare' | 'issue' | 'collect' | 'revoke';
export type GoogleMethod =
  | 'get'
  | 'claim'
  | 'signData'
  | 'operation'
  | 'uploadCertificate'
  | 'setFailure';

export interface EventMap {
  /** A message was read from the queue. `unreadable` ones carry their length and a hash. */
  notification: {
    readonly result: 'opened' | 'known' | 'unreadable' | 'unwritten';
    readonly processId?: string;
    readonly bytes?: number;
    readonly sha256?: string;
    readonly problem?: string;
  };
  /** A process left one room for the next. */
  stage: {
    readonly processId: string;
    readonly subject?: Subject;
    readonly room: Room;
    readonly seconds: number;
    readonly authority?: string;
  };
  /** A process ended. `message` is for operators. */
  closed: {
    readonly processId: string;
    readonly subject?: Subject;
    readonly outcome: Outcome;
    readonly authority?: string;
    readonly code?: ErrorCode;
    readonly message?: string;
    readonly serialNumber?: string;
    readonly seconds: number;
  };
  /** A process has a reference that is in no table, and is held. */
  unmatched: { readonly reference: string; readonly message: string };
  /** A device has not signed for so many hours. */
  unsigned: {
    readonly processId: string;
    readonly hours: number;
    readonly subject?: Subject;
    readonly authority?: string;
  };
  /** A visit met trouble and the process stays open. */
  trouble: {
    readonly processId: string;
    readonly subject?: Subject;
    readonly room: Room;
    readonly code: ErrorCode;
    readonly message: string;
    readonly authority?: string;
    readonly againInMs: number;
  };
  /** Something about an authority that stops nothing and that an administrator should know. */
  notice: { readonly authority: string; readonly message: string };
  /** An error nobody foresaw; the process is looked at again late. */
  bug: {
    readonly subject?: Subject;
    readonly processId?: string;
    readonly error: unknown;
    /** Nobody waited for what failed (stray-errors.ts). Then this is the authority on whose behalf it ran, if any. */
    readonly stray?: true;
    readonly authority?: string;
    /** How many more were not reported in the period before. */
    readonly untold?: number;
  };
  googleRequest: {
    readonly method: GoogleMethod;
    /** The HTTP status, or `error` when no answer of Google’s came. */
    readonly status: number | 'error';
    readonly seconds: number;
    /** Why nobody can be served while this lasts; absent also where only one process was refused. */
    readonly problem?: string;
  };
  /** No access token for Google is available, or one is available again. */
  googleToken: { readonly up: boolean; readonly problem?: string };
  caRequest: {
    readonly authority: string;
    readonly call: CaCall;
    /** `ok`, `pending`, `rejected` or the error's code. */
    readonly result: string;
    readonly seconds: number;
  };
  authority: {
    readonly authority: string;
    readonly up: boolean;
    /** It answers, but its rejections are not believed, its answers not understood, or its certificates fail: orders wait. */
    readonly held?: 'rejected' | 'unanswered' | 'failing';
    readonly code?: ErrorCode;
    readonly message?: string;
  };
  /** A certificate that was issued and will not be delivered, or an order whose answer nobody understood. */
  orphan: {
    readonly processId: string;
    readonly subject?: Subject;
    readonly authority: string;
    readonly requestId?: string;
    readonly serialNumber?: string;
    readonly revoked: boolean;
    readonly message: string;
  };
  /**
   * Files of an authority have changed and were read again; or they cannot be used, and their earlier contents still
   * count.
   */
  reread: { readonly authority: string; readonly problem?: string };
  /** The connection to the queue was lost, or is back. */
  inbox: { readonly up: boolean; readonly problem?: string };
  /** The journal failed, or works again. */
  journal: { readonly up: boolean; readonly problem?: string };
  /** The machine's clock turned out to be wrong, or is right again. */
  clock: { readonly right: boolean; readonly problem?: string };
  service: {
    readonly state: 'starting' | 'running' | 'draining' | 'stopped';
    readonly detail?: string;
  };
}

type Arguments = { [Name in keyof EventMap]: [EventMap[Name]] };

/** `events.emit('closed', { … })`, `events.on('closed', (closed) => …)`, typed. */
export class Events extends EventEmitter<Arguments> {}
