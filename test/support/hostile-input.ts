import type { DeviceSpecInput } from '../../simulator/device-spec.ts';

/*
 * What was tried against the running service. docs/develop/hostile-input.md is this list as a table; the test holds
 * the two equal and each row true.
 */

export interface HostileMessage {
  readonly tried: string;
  readonly body: Uint8Array;
  /** Of the message that it is unreadable; or the process id, when it names one that Google does not know. */
  readonly problem?: RegExp;
  readonly unknownProcess?: string;
  readonly happened: string;
}

const text = (body: string) => Buffer.from(body);
const json = (value: unknown) => text(JSON.stringify(value));
const named = (id: unknown) => json({ certificateProvisioningProcessId: id, customerId: 'C0' });
const protobuf = (...bytes: number[]) => Uint8Array.from(bytes);
const unreadable = 'counted as `unreadable`, logged once with length and hash, acknowledged';
const gone = 'Google answers 404; the process is closed as `gone`';

function randomBytes(length: number): Uint8Array {
  // Fixed noise (a linear congruential generator), so that the hash in the log is the same in every run.
  let state = 0x2545f491;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  });
}

function unreadableMessage(tried: string, body: Uint8Array, problem: RegExp): HostileMessage {
  return { tried, body, problem, happened: unreadable };
}

function unknownProcess(tried: string, id: string): HostileMessage {
  return { tried, body: named(id), unknownProcess: id, happened: gone };
}

export const hostileMessages: readonly HostileMessage[] = [
  unreadableMessage('nothing', new Uint8Array(), /it is empty/),
  unreadableMessage('one byte', protobuf(0), /as protobuf/),
  unreadableMessage('a megabyte of zeros', new Uint8Array(1_000_000), /larger than 65536 bytes/),
  unreadableMessage('a kilobyte of noise', randomBytes(1_024), /as protobuf/),
  unreadableMessage(
    'protobuf whose length runs past the end',
    protobuf(0x0a, 0xff, 0xff, 0x03, 0x41),
    /as protobuf/,
  ),
  unreadableMessage(
    'protobuf with an endless number',
    protobuf(0x0a, ...new Array(40).fill(0xff)),
    /as protobuf/,
  ),
  unreadableMessage('protobuf that is not UTF-8', protobuf(0x0a, 2, 0xc3, 0x28), /protobuf|id/),
  unreadableMessage('protobuf without a process id', protobuf(0x12, 2, 0x43, 0x30), /no process/),
  unreadableMessage(
    'JSON cut off',
    text('{"certificateProvisioningProcessId": "a'),
    /not valid JSON/,
  ),
  unreadableMessage(
    'JSON nested 30,000 deep',
    text(`{"a":${'['.repeat(30_000)}`),
    /not valid JSON/,
  ),
  unreadableMessage(
    'complete JSON nested 30,000 deep',
    text(`{"a":${'['.repeat(30_000)}${']'.repeat(30_000)}}`),
    /names no process|not valid JSON/,
  ),
  unreadableMessage('JSON that is an array', text(' [1]'), /as protobuf|not an object/),
  unreadableMessage('an id that is a number', named(7), /is not a string/),
  unreadableMessage('an id that is an object', named({ toString: 'x' }), /is not a string/),
  unreadableMessage('an id of 201 characters', named('a'.repeat(201)), /process id is not/),
  unreadableMessage('an id that climbs: `../../admin`', named('../../admin'), /process id is not/),
  unreadableMessage(
    'an id that climbs encoded: `%2e%2e`',
    named('%2e%2e%2fadmin'),
    /process id is not/,
  ),
  unreadableMessage('an id with a verb: `a:claim`', named('a:claim'), /process id is not/),
  unreadableMessage('an id with a query: `a?key=b`', named('a?key=b'), /process id is not/),
  unreadableMessage('an id with a line break', named('a\r\nHost: b'), /process id is not/),
  unreadableMessage('an id with a NUL', named('a\u0000'), /process id is not/),
  unreadableMessage('an id of look-alike letters', named('а１２'), /process id is not/),
  unreadableMessage(
    'a customer that climbs',
    json({ certificateProvisioningProcessId: 'a', customerId: '..' }),
    /customer id is not/,
  ),
  unreadableMessage(
    'a `__proto__` that brings an id',
    text('{"__proto__": {"certificateProvisioningProcessId": "polluted"}}'),
    /names no process/,
  ),
  unknownProcess('an id that Google does not know', 'nobody'),
  unknownProcess('the id `__proto__`', '__proto__'),
  unknownProcess('the id `constructor`', 'constructor'),
  unknownProcess('an id like a flag', '--help'),
];

export interface HostileProcess {
  readonly tried: string;
  readonly device: DeviceSpecInput;
  /** The code with which it is refused, or is in trouble and looked at again. */
  readonly code: string;
  readonly ends: 'refused' | 'waits';
  readonly happened: string;
}

function refused(tried: string, code: string, device: DeviceSpecInput): HostileProcess {
  const happened = `refused with \`${code}\`; the device shows why`;
  return { tried, device, code, ends: 'refused', happened };
}

function waits(tried: string, code: string, device: DeviceSpecInput): HostileProcess {
  return { tried, device, code, ends: 'waits', happened: `\`${code}\`; looked at again later` };
}

export const hostileProcesses: readonly HostileProcess[] = [
  refused('no public key', 'process-incomplete', { omit: ['subjectPublicKeyInfo'] }),
  refused('no device', 'process-incomplete', { omit: ['chromeOsDevice'] }),
  refused('no user', 'process-incomplete', { subject: 'user', omit: ['chromeOsUserSession'] }),
  refused('no profile', 'process-incomplete', { omit: ['genericProfile'] }),
  refused('no CA connection', 'process-incomplete', { omit: ['genericCaConnection'] }),
  waits('no name', 'google-bad-answer', { omit: ['name'] }),
  refused('the CA connection `__proto__`', 'authority-unknown', { caConnection: '__proto__' }),
  refused('the CA connection `constructor`', 'authority-unknown', { caConnection: 'constructor' }),
  refused('a CA connection that climbs', 'authority-unknown', { caConnection: '../../etc/passwd' }),
  refused('the profile `__proto__`', 'profile-unknown', { profileReference: '__proto__' }),
  refused('the profile `toString`', 'profile-unknown', { profileReference: 'toString' }),
  refused('a user’s profile for a device', 'name-empty', { profileReference: 'user_profile' }),
  refused('a SCEP name of 256 characters', 'name-invalid', {
    profile: 'scep',
    scepProfile: { subjectCommonName: 'a'.repeat(256) },
  }),
  refused('a SCEP variable that does not exist', 'name-unresolved', {
    profile: 'scep',
    scepProfile: { subjectCommonName: '${DEVICE_ASSET_ID}' },
  }),
  refused('a SCEP variable that is not closed', 'name-invalid', {
    profile: 'scep',
    scepProfile: { subjectCommonName: '${DEVICE_SERIAL_NUMBER' },
  }),
  refused('the SCEP variable `${constructor}`', 'name-unresolved', {
    profile: 'scep',
    scepProfile: { subjectCommonName: '${constructor}' },
  }),
  refused('a DNS name that is none', 'name-invalid', {
    profile: 'scep',
    scepProfile: { subjectAltNames: [{ type: 'DNS_NAME', value: 'a b\u0000.example' }] },
  }),
  refused('a signature by another key', 'signing-refused', { signs: 'wrong-key', key: 'ec' }),
];

export interface HostileAnswer {
  readonly tried: string;
  /** The authority's exec command; `DIR` is the directory with the prepared files. */
  readonly command: readonly string[];
  readonly code: string;
  readonly ends: 'refused' | 'waits';
  readonly happened: string;
}

function held(tried: string, code: string, ...command: readonly string[]): HostileAnswer {
  return { tried, command, code, ends: 'waits', happened: `\`${code}\`; held, tried again later` };
}

const shell = (script: string) => ['sh', '-c', script];

export const hostileAnswers: readonly HostileAnswer[] = [
  held('nothing', 'ca-bad-answer', 'true'),
  held('noise', 'ca-bad-answer', 'head', '-c', '20000', '/dev/urandom'),
  held('gigabytes', 'ca-bad-answer', 'head', '-c', '4000000000', '/dev/zero'),
  held('a line without an end', 'ca-bad-answer', ...shell('yes | tr -d "\\n"')),
  held('a page of HTML', 'ca-bad-answer', 'echo', '<html><body>Log in</body></html>'),
  held('PEM that is no certificate', 'ca-bad-answer', 'cat', 'DIR/noise.pem'),
  held('PEM nested 20,000 deep', 'ca-bad-answer', 'cat', 'DIR/nested.pem'),
  held('PEM whose end is missing', 'ca-bad-answer', 'cat', 'DIR/cut.pem'),
  held('twenty-one certificates', 'ca-bad-answer', 'cat', 'DIR/many.pem'),
  held('a private key', 'ca-bad-answer', 'cat', 'DIR/key.pem'),
  held('the request itself', 'ca-bad-answer', 'cat'),
  held('another’s certificate', 'certificate-wrong-key', 'cat', 'DIR/another.pem'),
  held('the CA’s own certificate', 'certificate-wrong-key', 'cat', 'DIR/ca.pem'),
  held('status 3 without a ticket', 'ca-bad-answer', ...shell('exit 3')),
  held(
    'a ticket of control characters',
    'ca-bad-answer',
    ...shell('printf "\\033[2J\\001\\n"; exit 3'),
  ),
  held('a ticket of 5,000 characters', 'ca-bad-answer', ...shell('printf %05000d 1; exit 3')),
  held('status 77', 'ca-unavailable', ...shell('exit 77')),
  held(
    'gigabytes on stderr',
    'ca-unavailable',
    ...shell('head -c 300000000 /dev/zero >&2; exit 1'),
  ),
  held('no end', 'ca-unavailable', 'sleep', '600'),
  held(
    'no end, and deaf to SIGTERM',
    'ca-unavailable',
    ...shell('trap "" TERM; sleep 600; sleep 600'),
  ),
  held('its own death', 'ca-unavailable', ...shell('kill -9 $$')),
  held('a command that does not exist', 'ca-misconfigured', './no-such-command'),
  held(
    'status 4 with control characters and a secret',
    'ca-rejecting',
    ...shell('printf "\\033[31mpassword=hunter2-hunter2\\r\\n" >&2; exit 4'),
  ),
];

/** The rows of docs/develop/hostile-input.md. */
export function hostileTable(): string {
  interface Row {
    readonly tried: string;
    readonly happened: string;
  }
  const rowsFrom = (from: string, rows: readonly Row[]) =>
    rows.map(({ tried, happened }) => `| ${from} | ${tried} | ${happened} |`);
  return [
    '| from | what | what happened |',
    '| --- | --- | --- |',
    ...rowsFrom('message', hostileMessages),
    ...rowsFrom('process', hostileProcesses),
    ...rowsFrom('CA’s answer', hostileAnswers),
  ].join('\n');
}
