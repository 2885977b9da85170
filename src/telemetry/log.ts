import { type DestinationStream, type Logger, pino } from 'pino';
import { errorTable } from '../error-table.ts';
import type { EventMap, Events } from '../events/events.ts';
import type { Subject } from '../request/requested-certificate.ts';
import { scrub, scrubbed } from '../words/scrub.ts';
import { logOutput } from './log-output.ts';
import { Outage } from './outage.ts';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
export type Log = Logger;

/**
 * The log: one JSON object a line, on standard output when no destination is given. Whatever is written through it is
 * scrubbed of secrets, by the names of keys and by the look of the text.
 */
export function createLog(level: LogLevel, destination?: DestinationStream): Log {
  const options = {
    level,
    base: null,
    // `scrubbed` has written errors out; pino's own way would fold the causes into the message.
    serializers: { err: (written: unknown) => written },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: {
      level: (label: string) => ({ level: label }),
      log: scrubbed,
    },
    hooks: {
      logMethod(this: Logger, args: Parameters<pino.LogFn>, method: pino.LogFn) {
        const scrubbedArgs = args.map((arg: unknown) =>
          typeof arg === 'string' ? scrub(arg) : arg,
        );
        method.apply(this, scrubbedArgs as Parameters<pino.LogFn>);
      },
    },
  };
  return pino(options, destination ?? logOutput());
}

/** Trouble with one code at one authority is reported once in this time; repeats are debug lines. */
const repeatsAreQuietMs = 10_000;

/** Writes what happens to the log; the one place where anything of the service's work is logged. */
export function logEvents(
  events: Events,
  log: Log,
  now: () => number = () => performance.now(),
  subjects = true,
): void {
  logProcesses(events, log, now, subjects);
  logCalls(events, log);
  logState(events, log, now);
}

function logProcesses(events: Events, log: Log, now: () => number, subjects: boolean): void {
  /** The fields of a line: its text is in `msg` alone, and figures are rounded. */
  const line = (event: string, { subject, ...told }: Told) => ({
    event,
    ...(subjects ? named(subject) : {}),
    ...rounded(told),
  });
  const warned = new Set<string>();
  const quietUntil = new Map<string, number>();
  const unwritten = new Outage();
  events.on('notification', (notification) => {
    // What cannot be written is reported as the journal's outage, with a count.
    const isRepeat = notification.result === 'unwritten' && !unwritten.failed(now()).tell;
    logNotification(notification, isRepeat, log);
  });
  events.on('journal', ({ up }) => {
    const outage = up ? unwritten.ended(now()) : undefined;
    if (outage === undefined) return;
    log.info(
      { event: 'notification', result: 'unwritten', messages: outage.failures },
      deliveredAgain,
    );
  });
  events.on('stage', (stage) => {
    if (log.isLevelEnabled('debug')) log.debug(line('stage', stage), `${stage.room} done`);
  });
  events.on('closed', ({ message, ...closed }) => {
    const level = closed.outcome === 'refused' ? 'warn' : 'info';
    log[level](line('closed', closed), message ?? `process ${closed.outcome}`);
  });
  events.on('unmatched', ({ reference, message }) => {
    const isNew = !warned.has(message) && warned.size < mostWarned;
    if (isNew) warned.add(message);
    log[isNew ? 'warn' : 'debug']({ event: 'unmatched', reference }, message);
  });
  events.on('unsigned', (unsigned) => {
    const { hours } = unsigned;
    const long = hours === 1 ? 'an hour' : `${hours} hours`;
    log.info(line('unsigned', unsigned), `the device has not signed for ${long}`);
  });
  events.on('trouble', ({ message, ...trouble }) => {
    // Otherwise a long outage would write a line for every waiting process again and again.
    const key = `${trouble.code} ${trouble.authority ?? ''}`;
    const isRepeat = now() < (quietUntil.get(key) ?? 0);
    if (!isRepeat) quietUntil.set(key, now() + repeatsAreQuietMs);
    const level = errorTable[trouble.code].disposition === 'hold' ? 'error' : 'warn';
    log[isRepeat ? 'debug' : level](line('trouble', trouble), message);
  });
  events.on('notice', ({ message, ...notice }) =>
    log.warn({ event: 'notice', ...notice }, message),
  );
  events.on('bug', ({ error, ...bug }) =>
    log.error({ ...line('bug', bug), err: error ?? String(error) }, bugLine(bug)),
  );
  events.on('orphan', ({ message, ...orphan }) =>
    log[orphan.revoked ? 'warn' : 'error'](
      line('orphan', orphan),
      orphan.requestId === undefined
        ? `a certificate was issued and will not be delivered: ${message}`
        : `an order has no answer, and may have made a certificate that nobody knows: ${message}`,
    ),
  );
}

interface Told {
  readonly subject?: Subject;
}

/** How many texts are reported once each; more are debug lines. */
const mostWarned = 1_000;

/** What an administrator searches for a Chromebook by: its serial number, or its user's address. */
function named(subject: Subject | undefined): { readonly user?: string; readonly device?: string } {
  if (subject === undefined) return {};
  const device = subject.serialNumber ?? subject.deviceDirectoryApiId;
  const user =
    subject.kind === 'user' ? (subject.userPrimaryEmail ?? subject.userDirectoryApiId) : undefined;
  return {
    ...(user === undefined ? {} : { user }),
    ...(device === undefined ? {} : { device }),
  };
}

/** Milliseconds as whole numbers, seconds with three digits. */
function rounded(fields: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => {
      if (typeof value !== 'number') return [name, value];
      return [name, name.endsWith('Ms') ? Math.round(value) : Math.round(value * 1_000) / 1_000];
    }),
  );
}

function bugLine({ stray, authority }: Omit<EventMap['bug'], 'error'>): string {
  if (stray !== true || authority === undefined) {
    return 'an error that nobody foresaw; please report it';
  }
  return `the authority ${authority} left an error behind that nobody waits for: report it to whoever made this kind of CA`;
}

const notificationLines = {
  opened: ['debug', 'process opened'],
  known: ['debug', 'a notification about a process that is written down already'],
  unreadable: ['warn', 'a message in the queue cannot be read; it is acknowledged'],
  unwritten: ['error', 'the journal could not be written; the queue will deliver again'],
} as const;

const deliveredAgain =
  'messages that came while the journal could not be written: the queue delivers them again';

function logNotification(
  notification: EventMap['notification'],
  isRepeat: boolean,
  log: Log,
): void {
  const [level, message] = notificationLines[notification.result];
  log[isRepeat ? 'debug' : level]({ event: 'notification', ...notification }, message);
}

function logCalls(events: Events, log: Log): void {
  // Ten for each certificate: nothing is made for a line that is not written.
  events.on('googleRequest', (request) => {
    if (!log.isLevelEnabled('debug')) return;
    log.debug({ event: 'googleRequest', ...rounded(request) }, `Google ${request.method}`);
  });
  events.on('caRequest', (request) => {
    if (!log.isLevelEnabled('debug')) return;
    log.debug({ event: 'caRequest', ...rounded(request) }, `${request.authority} ${request.call}`);
  });
}

function logState(events: Events, log: Log, now: () => number): void {
  events.on('authority', ({ message, ...authority }) => {
    const fields = { event: 'authority', ...authority };
    if (authority.up) log.info(fields, `authority ${authority.authority} is up`);
    else
      log.error(
        fields,
        `authority ${authority.authority} is down: ${message ?? 'no reason given'}`,
      );
  });
  for (const part of ['inbox', 'journal', 'googleToken'] as const) {
    const outage = new Outage();
    events.on(part, (state) => logUpOrDown(log, part, state, outage, now()));
  }
  logClock(events, log);
  events.on('service', (service) =>
    log.info({ event: 'service', ...service }, service.detail ?? `service ${service.state}`),
  );
}

function logUpOrDown(
  log: Log,
  event: 'inbox' | 'journal' | 'googleToken',
  { up, problem = 'no reason given' }: EventMap['inbox'],
  outage: Outage,
  now: number,
): void {
  if (up) {
    log.info({ event, up, ...outage.ended(now) }, `${event} works`);
    return;
  }
  const telling = outage.failed(now);
  const count = telling.tell && telling.failures > 1 ? { failures: telling.failures } : {};
  log[telling.tell ? 'error' : 'debug'](
    { event, up, ...count },
    `${event} does not work: ${problem}`,
  );
}

function logClock(events: Events, log: Log): void {
  let wasRight = true;
  events.on('clock', ({ right, problem }) => {
    if (right && wasRight) log.debug({ event: 'clock', right }, 'this machine’s clock is right');
    else if (right) log.info({ event: 'clock', right }, 'this machine’s clock is right again');
    else if (wasRight)
      log.error(
        { event: 'clock', right },
        `this machine’s clock cannot be relied on: ${problem ?? 'no reason given'}. Nothing is taken up, nobody is ` +
          'refused and nothing is ordered until it is right; set it by NTP (timedatectl, chronyc tracking)',
      );
    wasRight = right;
  });
}
