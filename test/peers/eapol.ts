import { execFile } from 'node:child_process';
import type { KeyObject } from 'node:crypto';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import type { FreeRadius } from './freeradius-server.ts';

/*
 * A device at the Wi-Fi's door: eapol_test is wpa_supplicant, and plays the access point too.
 */

export const howToGetEapolTest = 'apt-get install eapoltest';

const program = '/usr/bin/eapol_test';

export function findEapolTest(): boolean {
  return existsSync(program);
}

export interface Credentials {
  /** EAP identity; no quotes. */
  readonly identity: string;
  /** The leaf, as the device has it: PEM. */
  readonly certificate: string;
  readonly key: KeyObject;
}

export type TlsVersion = '1.2' | '1.3';

/** The supplicant takes part in this version and in no other. */
const onlyVersion = {
  '1.2': 'tls_disable_tlsv1_2=0 tls_disable_tlsv1_3=1',
  '1.3': 'tls_disable_tlsv1_2=1 tls_disable_tlsv1_3=0',
} as const satisfies Record<TlsVersion, string>;

export interface Login {
  readonly succeeded: boolean;
  /** What each side wrote about it. */
  readonly supplicant: string;
  readonly server: string;
}

/** Logs in by EAP-TLS with the leaf alone, as ChromeOS does, and checks the server as ChromeOS would. */
export async function logIn(
  radius: FreeRadius,
  version: TlsVersion,
  { identity, certificate, key }: Credentials,
): Promise<Login> {
  await using directory = await temporaryDirectory();
  const file = (name: string) => join(directory.path, name);
  const pkcs8 = { type: 'pkcs8', format: 'pem' } as const;
  await writeFile(file('client.pem'), certificate);
  await writeFile(file('client-key.pem'), key.export(pkcs8), { mode: 0o600 });
  const network = `network={
  key_mgmt=WPA-EAP
  eap=TLS
  identity="${identity}"
  ca_cert="${radius.certificateFile}"
  domain_match="${radius.name}"
  client_cert="${file('client.pem')}"
  private_key="${file('client-key.pem')}"
  phase1="tls_disable_tlsv1_0=1 tls_disable_tlsv1_1=1 ${onlyVersion[version]}"
}
`;
  await writeFile(file('eap.conf'), network);
  const server = ['-a', '127.0.0.1', '-p', String(radius.port), '-s', radius.secret];
  const words = ['-c', file('eap.conf'), ...server, '-t', '10'];
  const { status, stdout } = await ended(words);
  return { succeeded: status === 0, supplicant: stdout, server: await radius.decided() };
}

async function ended(words: readonly string[]): Promise<{ status: number; stdout: string }> {
  try {
    const { stdout } = await promisify(execFile)(program, words, { maxBuffer: 8 * 2 ** 20 });
    return { status: 0, stdout };
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && 'stdout' in error)) throw error;
    const { code, stdout } = error;
    if (typeof code !== 'number' || typeof stdout !== 'string') throw error;
    return { status: code, stdout };
  }
}
