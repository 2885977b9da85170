import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { link, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ProvisioningError } from '../../src/errors.ts';
import { messageOf } from '../../src/words/message-of.ts';

/** No order lives as long; what is older is only in the way. */
const keptMs = 60 * 24 * 3_600_000;
/** How a file is called until it is whole; one that stays so was left by a crash. */
const halfWritten = '.new';
const halfWrittenMs = 3_600_000;

/**
 * What an ACME account needs to survive: its key (account.pem, 0600), and for every request the URL of its
 * order, so that a repeated request finds the order again and never makes a second one. Instances that share
 * the directory share both.
 */
export class StateDirectory {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /** @throws {ProvisioningError} `ca-misconfigured`, as all its methods, when it cannot be used. */
  static async open(path: string, now: number): Promise<StateDirectory> {
    const directory = new StateDirectory(path);
    await directory.#usable(async () => {
      await mkdir(join(path, 'orders'), { recursive: true, mode: 0o700 });
      await removeOld(join(path, 'orders'), '', now - keptMs);
      await removeOld(path, halfWritten, now - halfWrittenMs);
    });
    return directory;
  }

  /** The account's key, PEM; made when there is none. */
  async accountKey(): Promise<string> {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const text = () => privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    return this.#usable(() => this.#first('account.pem', text));
  }

  async findOrder(requestId: string): Promise<string | undefined> {
    return this.#usable(() => this.#read(orderFile(requestId)));
  }

  /** The order of a request: this one, unless another was written down before. */
  async keepOrder(requestId: string, url: string): Promise<string> {
    return this.#usable(() => this.#first(orderFile(requestId), () => url));
  }

  /** For an order that can never become a certificate. */
  async replaceOrder(requestId: string, url: string): Promise<void> {
    await this.#usable(async () => {
      await rename(await this.#written(url), join(this.#path, orderFile(requestId)));
    });
  }

  /** A disk that is full or gone is the operator's trouble, and no certificate's. */
  async #usable<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      throw new ProvisioningError(
        'ca-misconfigured',
        `The directory ${this.#path} cannot be used: ${messageOf(error)}. It must be there and writable by the service's user.`,
        { cause: error },
      );
    }
  }

  /** The file's text; when it is not there, it is written whole or not at all, and the first writer wins. */
  async #first(name: string, text: () => string): Promise<string> {
    const before = await this.#read(name);
    if (before !== undefined) return before;
    const ours = text();
    const temporary = await this.#written(ours);
    try {
      await link(temporary, join(this.#path, name));
      return ours;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
      return (await this.#read(name)) ?? ours;
    } finally {
      await rm(temporary, { force: true });
    }
  }

  async #written(text: string): Promise<string> {
    const temporary = join(this.#path, `${randomUUID()}${halfWritten}`);
    await using file = await open(temporary, 'wx', 0o600);
    await file.writeFile(text);
    await file.sync();
    return temporary;
  }

  async #read(name: string): Promise<string | undefined> {
    try {
      return await readFile(join(this.#path, name), 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    }
  }
}

async function removeOld(directory: string, ending: string, before: number): Promise<void> {
  for (const name of await readdir(directory)) {
    const file = join(directory, name);
    if (name.endsWith(ending) && (await stat(file)).mtimeMs < before)
      await rm(file, { force: true });
  }
}

function orderFile(requestId: string): string {
  if (!/^[0-9a-f]{32}$/.test(requestId)) throw new Error('Not a request id.');
  return join('orders', requestId);
}
