import { X509Certificate } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DeviceSpec } from './device-spec.ts';
import { findPebble, howToGetPebble, startPebble } from './peers/pebble-server.ts';
import { howToGetScepServer, scepServerIsThere, startScepServer } from './peers/scep-server.ts';

/*
 * The CA of the demo: certprov's own, or a real server that is started for it. What kind of names and keys a
 * server takes decides which devices there are and what their certificates say.
 */

export const demoKinds = ['local-ca', 'scep', 'acme'] as const;
export type DemoKind = (typeof demoKinds)[number];

export interface DemoAuthority extends AsyncDisposable {
  /** Under `authorities` and `profiles` of the configuration. */
  readonly authority: Readonly<Record<string, unknown>>;
  readonly profiles: Readonly<Record<string, unknown>>;
  /** Of the devices. */
  readonly keys: readonly DeviceSpec['key'][];
  /** One line for people. */
  readonly note: string;
}

/** A server that the demo needs is not on this machine; the message says how to get it. */
export class MissingServerError extends Error {}

/** Throws {@link MissingServerError}. */
export function requireServer(kind: DemoKind): void {
  const server = servers[kind];
  if (server === undefined || server.isThere()) return;
  const { name, howToGetIt } = server;
  throw new MissingServerError(`The demo with --kind ${kind} needs ${name}: ${howToGetIt}.`);
}

/** Starts the CA where it is a server. `directory` is the configuration's. */
export function startAuthority(kind: DemoKind, directory: string): Promise<DemoAuthority> {
  return starters[kind](directory);
}

interface Server {
  readonly name: string;
  readonly howToGetIt: string;
  isThere(): boolean;
}

const servers: Readonly<Partial<Record<DemoKind, Server>>> = {
  scep: {
    name: 'micromdm’s scepserver',
    howToGetIt: howToGetScepServer,
    isThere: scepServerIsThere,
  },
  acme: { name: 'pebble', howToGetIt: howToGetPebble, isThere: findPebble },
};

const starters: Readonly<Record<DemoKind, (directory: string) => Promise<DemoAuthority>>> = {
  'local-ca': startLocalCa,
  scep: startScep,
  acme: startAcme,
};

const deviceDns = { type: 'dns', value: '${DEVICE_SERIAL_NUMBER}.devices.example' };
const userDns = { type: 'dns', value: '${USER_EMAIL_NAME}.users.example' };
const userEmail = { type: 'email', value: '${USER_EMAIL}' };
const deviceSubject = 'CN=${DEVICE_SERIAL_NUMBER},OU=Chromebooks,O=Example';
const userSubject = 'CN=${USER_EMAIL},O=Example';
const bothKeys = ['rsa', 'ec'] as const;

async function startLocalCa(): Promise<DemoAuthority> {
  return {
    authority: {
      kind: 'local-ca',
      options: { directory: './ca', name: 'SIMULATOR - NOT FOR PRODUCTION' },
    },
    profiles: {
      device_profile: { subject: deviceSubject, subjectAltNames: [deviceDns] },
      user_profile: {
        subject: userSubject,
        subjectAltNames: [userEmail, { type: 'upn', value: '${USER_EMAIL}' }],
      },
    },
    keys: bothKeys,
    note: 'CA: local-ca, in the service itself.',
    [Symbol.asyncDispose]: async () => undefined,
  };
}

async function startScep(directory: string): Promise<DemoAuthority> {
  const server = await startScepServer();
  const root = new X509Certificate(server.ca);
  const files = await authorityDirectory(directory);
  await writeFile(join(files, 'root.pem'), root.toString());
  await writeFile(join(files, 'challenge.txt'), server.challenge, { mode: 0o600 });
  return {
    authority: {
      kind: 'scep',
      // Its file depot fails when two orders come at once.
      concurrency: 1,
      roots: ['./ca/root.pem'],
      options: {
        url: server.url,
        caFingerprints: [root.fingerprint256],
        challenge: { file: './ca/challenge.txt' },
        keyTypes: ['rsa'],
      },
    },
    profiles: {
      device_profile: { subject: deviceSubject, subjectAltNames: [deviceDns] },
      user_profile: { subject: userSubject, subjectAltNames: [userEmail] },
    },
    keys: ['rsa'],
    note: `CA: micromdm’s scepserver on ${server.url}. It takes RSA keys only and leaves UPN names out, so nobody has others here.`,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function startAcme(directory: string): Promise<DemoAuthority> {
  const server = await startPebble();
  const files = await authorityDirectory(directory);
  await writeFile(join(files, 'root.pem'), await server.root());
  return {
    authority: {
      kind: 'acme',
      roots: ['./ca/root.pem'],
      options: {
        directoryUrl: server.directoryUrl,
        directory: './ca/account',
        termsOfServiceAgreed: true,
        challenge: { type: 'http-01', port: server.httpPort },
        tls: { caFile: server.tlsFile },
      },
    },
    profiles: {
      device_profile: { subject: `CN=${deviceDns.value}`, subjectAltNames: [deviceDns] },
      user_profile: {
        subject: `CN=${userDns.value}`,
        subjectAltNames: [userDns],
      },
    },
    keys: bothKeys,
    note: `CA: pebble on ${server.directoryUrl}. ACME certifies DNS names only, so everybody is SOMETHING.devices.example or .users.example here.`,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function authorityDirectory(directory: string): Promise<string> {
  const path = join(directory, 'ca');
  await mkdir(path, { recursive: true, mode: 0o700 });
  return path;
}
