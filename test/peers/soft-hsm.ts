import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const places = ['/usr/lib/softhsm/libsofthsm2.so', '/usr/lib64/pkcs11/libsofthsm2.so'];
export const softHsmLibrary = places.find((path) => existsSync(path)) ?? '/no/libsofthsm2.so';
export const howToGetSoftHsm = 'apt-get install softhsm2';

export async function hasSoftHsm(): Promise<boolean> {
  if (!existsSync(softHsmLibrary)) return false;
  return await run('softhsm2-util', ['--version']).then(
    () => true,
    () => false,
  );
}

/** SoftHSM with tokens of its own, in `directory`. One at a time: the library reads its place from the environment. */
export class SoftHsm implements Disposable {
  readonly pin = '7294-geheim';
  readonly #tokens: string;
  readonly #before = process.env['SOFTHSM2_CONF'];

  private constructor(directory: string) {
    this.#tokens = join(directory, 'tokens');
  }

  static async start(directory: string): Promise<SoftHsm> {
    const hsm = new SoftHsm(directory);
    await mkdir(hsm.#tokens);
    const file = join(directory, 'softhsm2.conf');
    await writeFile(file, `directories.tokendir = ${hsm.#tokens}\nlog.level = ERROR\n`);
    process.env['SOFTHSM2_CONF'] = file;
    return hsm;
  }

  async makeToken(label: string): Promise<void> {
    const pins = ['--pin', this.pin, '--so-pin', '99999999'];
    await run('softhsm2-util', ['--init-token', '--free', '--label', label, ...pins]);
  }

  /** Brings a key (PKCS#8, PEM) in from outside. */
  async importKey(token: string, file: string, label: string): Promise<void> {
    const which = ['--token', token, '--pin', this.pin];
    await run('softhsm2-util', ['--import', file, ...which, '--label', label, '--id', 'a1']);
  }

  /** As if the tokens were taken out; with `back` as if they were put in again. */
  async takeOut(): Promise<{ back(): Promise<void> }> {
    const away = `${this.#tokens}.away`;
    await rename(this.#tokens, away);
    await mkdir(this.#tokens);
    return {
      back: async () => {
        await rename(this.#tokens, `${this.#tokens}.empty`);
        await rename(away, this.#tokens);
      },
    };
  }

  [Symbol.dispose](): void {
    if (this.#before === undefined) delete process.env['SOFTHSM2_CONF'];
    else process.env['SOFTHSM2_CONF'] = this.#before;
  }
}
