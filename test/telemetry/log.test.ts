import { closeSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { Events } from '../../src/events/events.ts';
import { createLog, type LogLevel, logEvents } from '../../src/telemetry/log.ts';
import { fileOutput, streamOutput } from '../../src/telemetry/log-output.ts';

function logged(level: LogLevel = 'debug') {
  const lines: string[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  const log = createLog(level, destination);
  const parsed = () => lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  return { log, lines, parsed };
}

function listening(level: LogLevel = 'debug') {
  const events = new Events();
  const { log, lines, parsed } = logged(level);
  const clock = { now: 0 };
  logEvents(events, log, () => clock.now);
  return { events, lines, parsed, clock };
}

describe('logEvents', () => {
  it('warns of what an authority noticed and what stops nothing', () => {
    const { events, parsed } = listening();
    events.emit('notice', { authority: 'ca', message: 'The server wants a challengePassword.' });
    expect(parsed()).toMatchObject([
      {
        level: 'warn',
        event: 'notice',
        authority: 'ca',
        msg: 'The server wants a challengePassword.',
      },
    ]);
  });

  it('writes one line for the end of a process, with the operator’s message, and each stage at debug', () => {
    const { events, parsed } = listening('debug');
    events.emit('stage', { processId: 'p1', room: 'claim', seconds: 0.2, authority: 'ca' });
    events.emit('closed', {
      processId: 'p1',
      outcome: 'refused',
      code: 'ca-rejected',
      message: 'The officer said no.',
      seconds: 3,
    });
    expect(parsed()).toMatchObject([
      { level: 'debug', event: 'stage', processId: 'p1', room: 'claim', authority: 'ca' },
      { level: 'warn', event: 'closed', code: 'ca-rejected', msg: 'The officer said no.' },
    ]);
  });

  it('says who asks in every line of a process, each text once, and figures rounded', () => {
    const tell = (subjects: boolean) => {
      const events = new Events();
      const { log, lines, parsed } = logged();
      logEvents(events, log, () => 0, subjects);
      const device = { kind: 'device', serialNumber: '5CD1234' } as const;
      const user = { kind: 'user', userPrimaryEmail: 'a@example.com', serialNumber: 'S' } as const;
      const of = { processId: 'p', subject: device, authority: 'ca' };
      const seconds = 1.23456789;
      events.emit('stage', { ...of, room: 'claim', seconds });
      events.emit('closed', { ...of, outcome: 'refused', message: 'No more.', seconds });
      const trouble = { room: 'issue', code: 'ca-unavailable', againInMs: 12.3456 } as const;
      events.emit('trouble', { ...of, ...trouble, message: 'No answer.' });
      events.emit('orphan', { ...of, revoked: false, message: 'Lost.' });
      events.emit('unsigned', { ...of, subject: user, hours: 2 });
      events.emit('bug', { processId: 'p', subject: device, error: new Error('odd') });
      return { lines, parsed: parsed() };
    };
    const { lines, parsed } = tell(true);
    expect(parsed.map(({ device, user }) => [device, user])).toEqual([
      ['5CD1234', undefined],
      ['5CD1234', undefined],
      ['5CD1234', undefined],
      ['5CD1234', undefined],
      ['S', 'a@example.com'],
      ['5CD1234', undefined],
    ]);
    for (const text of ['No more.', 'No answer.', 'Lost.']) {
      expect(lines.join('').split(text)).toHaveLength(2);
    }
    expect(parsed).toMatchObject([
      { seconds: 1.235 },
      { seconds: 1.235 },
      { againInMs: 12 },
      {},
      {},
      {},
    ]);
    expect(parsed[4]?.['msg']).toBe('the device has not signed for 2 hours');
    expect(tell(false).lines.join('')).not.toMatch(/5CD1234|example/);
  });

  it('warns of a reference in no table once', () => {
    const { events, parsed } = listening('info');
    for (let times = 0; times < 3; times += 1) {
      events.emit('unmatched', { reference: 'typo', message: 'authorities has no "typo".' });
    }
    expect(parsed()).toMatchObject([{ level: 'warn', event: 'unmatched', reference: 'typo' }]);
  });

  it('tells an outage of the database in a line, once a minute a count, and how long it was', () => {
    const { events, parsed, clock } = listening('info');
    for (let second = 0; second < 80; second += 1) {
      clock.now = second * 1_000;
      events.emit('journal', { up: false, problem: 'connection refused' });
      events.emit('notification', { result: 'unwritten' });
    }
    clock.now = 80_000;
    events.emit('journal', { up: true });
    events.emit('journal', { up: true });
    expect(parsed().map(({ time: _time, ...line }) => line)).toEqual([
      {
        level: 'error',
        event: 'journal',
        up: false,
        msg: expect.stringMatching(/: connection refused/),
      },
      { level: 'error', event: 'notification', result: 'unwritten', msg: expect.any(String) },
      { level: 'error', event: 'journal', up: false, failures: 61, msg: expect.any(String) },
      { level: 'error', event: 'notification', result: 'unwritten', msg: expect.any(String) },
      {
        level: 'info',
        event: 'notification',
        result: 'unwritten',
        messages: 80,
        msg: expect.stringContaining('the queue delivers them again'),
      },
      {
        level: 'info',
        event: 'journal',
        up: true,
        failures: 80,
        seconds: 80,
        msg: 'journal works',
      },
      { level: 'info', event: 'journal', up: true, msg: 'journal works' },
    ]);
  });

  it('takes the level of trouble from who must act', () => {
    const { events, parsed } = listening();
    const trouble = { processId: 'p1', room: 'issue', againInMs: 1, message: 'm' } as const;
    events.emit('trouble', { ...trouble, code: 'google-throttled' });
    events.emit('trouble', { ...trouble, code: 'ca-misconfigured', authority: 'ca' });
    expect(parsed().map(({ level }) => level)).toEqual(['warn', 'error']);
  });

  it('tells trouble that repeats at one authority loudly only once in ten seconds', () => {
    const { events, parsed, clock } = listening();
    const trouble = {
      processId: 'p1',
      room: 'issue',
      code: 'ca-unavailable',
      authority: 'ca',
      message: 'm',
      againInMs: 1,
    } as const;
    events.emit('trouble', trouble);
    events.emit('trouble', { ...trouble, processId: 'p2' });
    events.emit('trouble', { ...trouble, authority: 'other' });
    clock.now = 10_000;
    events.emit('trouble', trouble);
    expect(parsed().map(({ level }) => level)).toEqual(['error', 'debug', 'error', 'error']);
  });

  it('gives bugs their stack and their causes', () => {
    const { events, parsed } = listening();
    events.emit('bug', {
      processId: 'p1',
      error: new Error('outer', { cause: new Error('inner') }),
    });
    expect(parsed()[0]).toMatchObject({
      level: 'error',
      processId: 'p1',
      err: {
        message: 'outer',
        stack: expect.stringContaining('log.test'),
        cause: { message: 'inner' },
      },
    });
  });

  it('says what is down and what is up again', () => {
    const { events, parsed } = listening('info');
    events.emit('authority', { authority: 'ca', up: false, message: 'refused' });
    events.emit('authority', { authority: 'ca', up: true });
    events.emit('journal', { up: false, problem: 'disk full' });
    events.emit('inbox', { up: true });
    events.emit('service', { state: 'draining' });
    expect(parsed().map(({ level, msg }) => [level, msg])).toEqual([
      ['error', 'authority ca is down: refused'],
      ['info', 'authority ca is up'],
      ['error', 'journal does not work: disk full'],
      ['info', 'inbox works'],
      ['info', 'service draining'],
    ]);
  });

  it('handles every event of the map', () => {
    const { events, parsed } = listening();
    events.emit('notification', { result: 'unreadable', bytes: 3, sha256: 'ab' });
    events.emit('notification', { result: 'opened', processId: 'p' });
    events.emit('googleRequest', { method: 'get', status: 200, seconds: 0.1 });
    events.emit('caRequest', { authority: 'ca', call: 'issue', result: 'ok', seconds: 0.1 });
    events.emit('orphan', { processId: 'p', authority: 'ca', revoked: false, message: 'gone' });
    expect(parsed().map(({ level, event }) => [level, event])).toEqual([
      ['warn', 'notification'],
      ['debug', 'notification'],
      ['debug', 'googleRequest'],
      ['debug', 'caRequest'],
      ['error', 'orphan'],
    ]);
  });
});

const pem = `-----BEGIN EC ${'PRIVATE'} KEY-----\nTOPSECRETKEYDATA\n-----END EC ${'PRIVATE'} KEY-----`;

describe('logOutput', () => {
  /** Like a pipe: takes what is written only while somebody reads. */
  function pipe() {
    const read: string[] = [];
    const unread: (() => void)[] = [];
    let stalled = true;
    const stream = new Writable({
      decodeStrings: false,
      write(chunk, _encoding, done) {
        read.push(String(chunk));
        if (stalled) unread.push(done);
        else done();
      },
    });
    const goOn = () => {
      stalled = false;
      for (const done of unread.splice(0)) done();
    };
    return { stream, read, goOn };
  }

  it('keeps so much for a reader that stands still, drops the rest, and says how many lines', async () => {
    const { stream, read, goOn } = pipe();
    const output = streamOutput(stream, 1_000);
    const line = `${'x'.repeat(99)}\n`;
    for (let lines = 0; lines < 50; lines += 1) output.write(line);
    expect(stream.writableLength).toBeLessThan(1_200);
    goOn();
    await output.flushed(1_000);
    output.write('after\n');
    const text = read.join('');
    const kept = text.split(line).length - 1;
    expect(text).toContain(`"lines":${50 - kept}`);
    expect(text).toMatch(/dropped here.*\nafter\n$/);
  });

  it('waits for a reader at the end, but not for ever', async () => {
    const { stream } = pipe();
    const output = streamOutput(stream);
    output.write('x\n');
    await output.flushed(10);
    expect(stream.writableLength).toBeGreaterThan(0);
  });

  it('goes on with a file when its disk has room again', () => {
    // A device on which the first byte finds the disk full, then an ordinary file in its place.
    const full = openSync('/dev/full', 'w');
    const output = fileOutput(full);
    output.write('lost\n');
    const file = join(mkdtempSync(join(tmpdir(), 'certprov-log-')), 'log');
    closeSync(full);
    expect(openSync(file, 'w')).toBe(full);
    output.write('after\n');
    closeSync(full);
    expect(readFileSync(file, 'utf8')).toMatch(/"lines":1,.*\nafter\n$/);
  });

  it('goes on when its reader has gone', async () => {
    const stream = new Writable({ write: (_chunk, _encoding, done) => done(new Error('EPIPE')) });
    const output = streamOutput(stream);
    output.write('x\n');
    await new Promise(setImmediate);
    output.write('y\n');
    await output.flushed(1_000);
  });
});

describe('createLog', () => {
  it.each([
    ['a bearer token', 'authorization: Bearer TOPSECRET.abc-123'],
    ['a private key', `key ${pem} end`],
    ['a cut private key', pem.slice(0, 50)],
    ['a password in a URL', 'postgres://me:TOPSECRET@db:5432/x failed'],
    ['a password with an @ in a URL', 'postgres://me:TOP@SECRET@db/x'],
    ['a token of Google’s', 'token ya29.TOPSECRET-x'],
    ['a JWT', 'got eyJTOPSECRETx.eyJTOPSECRET.TOPSECRET'],
    ['a parameter', 'POST /x?client_secret=TOPSECRET&a=b'],
    ['JSON of another library', '{"password": "TOPSECRET", "a": 1}'],
    ['basic authentication', 'Authorization: Basic VE9QU0VDUkVUOng='],
    ['digest authentication', 'Authorization: Digest username="x", response="TOPSECRET"'],
    ['a cookie', 'Set-Cookie: session=TOPSECRET; Secure'],
    ['a token of Vault’s', 'permission denied for hvs.CAESITOPSECRETx'],
    ['a batch token of Vault’s', 'hvb.AAAAAQJTOPSECRETx'],
    ['an old token of Vault’s', 's.TOPSECRETTOPSECRETTOPSECRE1'],
    ['a header of Vault’s', 'X-Vault-Token: TOPSECRET'],
    ['a key id of AWS', 'AKIATOPSECRETEXAMPL is not known'],
    ['a passing key id of AWS', 'ASIATOPSECRETEXAMPL is not known'],
    ['a secret key of AWS', 'aws_secret_access_key = TOPSECRET'],
    ['a presigned URL', 'https://b.example/x?X-Amz-Signature=TOPSECRET&a=b'],
    ['a client secret of Google’s', 'GOCSPX-TOPSECRET_abc'],
    ['a refresh token of Google’s', '1//0gTOPSECRETTOPSECRET-x'],
    ['an API key of Google’s', 'AIzaSyTOPSECRETTOPSECRETTOPSECRETTOPSE'],
    ['a token of GitHub’s', 'ghp_TOPSECRETTOPSECRET'],
    [
      'a password of WS-Security',
      '<o:Password Type="http://docs.oasis-open.org/x#PasswordText">TOPSECRET</o:Password>',
    ],
    ['a challenge', 'POST /x?challenge=TOPSECRET&a=b'],
    ['a challenge password', 'challengePassword: "TOPSECRET"'],
    ['a PIN', 'C_Login with pin: TOPSECRET'],
    ['a PIN in JSON', '{"pin":"TOPSECRET"}'],
    ['a token as util.inspect shows it', "{ token: 'TOPSECRET' }"],
    ['a PIN in a URI', 'pkcs11:object=x?pin-value=TOPSECRET'],
    ['a text in quotes that was cut', 'password="TOPSECRET'],
    ['a quote inside of quotes', '{"password":"a\\"TOPSECRET"}'],
    ['a shared key', 'hmacKey: TOPSECRET'],
  ])('hides %s in messages, fields and errors', (_what, text) => {
    const { log, lines } = logged();
    log.info(text);
    log.info({ detail: text, nested: { list: [text] } }, 'a message');
    log.error({ err: new Error(text, { cause: new Error(text) }) }, 'failed');
    expect(lines).toHaveLength(3);
    for (const line of lines) {
      expect(line).not.toMatch(/SECRET|VE9QU0/);
      expect(() => JSON.parse(line)).not.toThrow();
    }
  });

  it.each([
    'authorization',
    'token',
    'password',
    'challenge',
    'ticket',
    'prepared',
    'signData',
    'access_token',
  ])('hides the field %s at any depth', (name) => {
    const { log, lines } = logged();
    log.info({ [name]: 'TOPSECRET', inner: { list: [{ [name]: { deep: 'TOPSECRET' } }] } }, 'x');
    expect(lines[0]).not.toContain('TOPSECRET');
  });

  it('leaves ordinary words alone', () => {
    const { log, parsed } = logged();
    const text =
      'A bearer token is missing; Basic Constraints; https://ca.example:8443/x; password wrong; ' +
      'token: denied; challenge: dns-01 failed; pin: wrong; s.example.com; us.east; a cookie';
    log.info(text);
    expect(parsed()[0]).toMatchObject({ msg: text });
  });

  it('counts bytes instead of showing them, and cuts endless texts', () => {
    const { log, lines } = logged();
    log.info({ csr: Buffer.alloc(100) }, 'x'.repeat(50_000));
    expect(lines[0]).toContain('[100 bytes]');
    expect(lines[0]?.length).toBeLessThan(9_000);
  });

  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  const wide = (depth: number): unknown =>
    depth === 0
      ? 'x'.repeat(9_000)
      : Object.fromEntries(
          Array(20)
            .fill(0)
            .map((_, at) => [`k${at}`, wide(depth - 1)]),
        );
  it.each<[string, unknown, RegExp]>([
    ['nothing', undefined, /"err":"undefined"/],
    ['a symbol', Symbol('x'), /symbol/],
    ['a message that is no text', Object.assign(new Error('x'), { message: 42 }), /"message":42/],
    ['no message', Object.assign(new Error('x'), { message: undefined }), /"type":"Error"/],
    ['a stack that is no text', Object.assign(new Error('x'), { stack: [{}] }), /"message":"x"/],
    [
      'a field that throws',
      {
        get x() {
          throw new Error('no');
        },
      },
      /cannot be read/,
    ],
    ['a proxy that is revoked', revoked.proxy, /cannot be read/],
    [
      'a toJSON that throws',
      {
        toJSON() {
          throw new Error('no');
        },
      },
      /\[function\]/,
    ],
    ['a long list', Array(100_000).fill({ a: 1 }), /and 99900 more/],
    ['somebody’s whole state', wide(3), /too much|"k1":""/],
  ])('writes a line of some kilobytes, whatever was thrown: %s', (_what, thrown, expected) => {
    const { log, lines } = logged();
    const events = new Events();
    logEvents(events, log);
    events.emit('bug', { error: thrown, stray: true, authority: 'ca' });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(expected);
    expect(lines[0]?.length).toBeLessThan(150_000);
    JSON.parse(lines[0] ?? '');
  });

  it('writes nothing below its level', () => {
    const { log, lines } = logged('warn');
    log.info('x');
    expect(lines).toEqual([]);
  });
});
