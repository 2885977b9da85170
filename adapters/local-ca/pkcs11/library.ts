import { access } from 'node:fs/promises';
import { ProvisioningError } from '../../../src/errors.ts';
import { messageOf } from '../../../src/words/message-of.ts';
import { lettingGo, returnValueOf } from './problem.ts';

export type Pkcs11 = typeof import('pkcs11js');
export type Calls = InstanceType<Pkcs11['PKCS11']>;

/**
 * A PKCS#11 library in this process: loaded once and for good, and initialised (C_Initialize) while somebody uses it,
 * because there is only one initialisation for a whole process. Some libraries see a token that came back only after
 * the last user has let go.
 */
export class Library {
  readonly path: string;
  /** The constants of the standard. */
  readonly names: Pkcs11;
  readonly calls: Calls;
  /** Tokens by serial number, and the PIN that each refused with which answer: it is not shown a second time. */
  readonly refusedPins = new Map<string, { readonly pin: string; readonly answer: string }>();
  #users = 0;

  constructor(path: string, names: Pkcs11, calls: Calls) {
    this.path = path;
    this.names = names;
    this.calls = calls;
  }

  acquire(): void {
    if (this.#users === 0) this.#initialise();
    this.#users += 1;
  }

  release(): void {
    this.#users -= 1;
    if (this.#users === 0) lettingGo(() => this.calls.C_Finalize());
  }

  #initialise(): void {
    try {
      this.calls.C_Initialize({ flags: this.names.CKF_OS_LOCKING_OK });
    } catch (error) {
      // Somebody else in this process did, or the last C_Finalize failed.
      if (returnValueOf(error) !== 'CKR_CRYPTOKI_ALREADY_INITIALIZED') throw error;
    }
  }
}

const loaded = new Map<string, Library>();

/**
 * @param path absolute.
 * @param importPackage loads the package that speaks to such libraries.
 * @throws {ProvisioningError} `ca-misconfigured` when the package or the library is not there or cannot be loaded.
 */
export async function loadLibrary(
  path: string,
  importPackage: () => Promise<unknown> = () => import('pkcs11js'),
): Promise<Library> {
  const known = loaded.get(path);
  if (known !== undefined) return known;
  await access(path).catch((error: unknown) => {
    throw libraryProblem(path, error);
  });
  const names = await loadPackage(importPackage);
  const calls = new names.PKCS11();
  try {
    calls.load(path);
  } catch (error) {
    throw libraryProblem(path, error);
  }
  const library = new Library(path, names, calls);
  loaded.set(path, library);
  return library;
}

function libraryProblem(path: string, cause: unknown): ProvisioningError {
  return new ProvisioningError(
    'ca-misconfigured',
    `keys.library: ${path} cannot be loaded as a PKCS#11 library (${reasonOf(cause)}). Install the token's driver, or correct the path; its documentation says where it puts the library.`,
    { cause },
  );
}

async function loadPackage(importPackage: () => Promise<unknown>): Promise<Pkcs11> {
  try {
    // A CommonJS package: everything is under `default`, though its types do not say so.
    const { default: names } = (await importPackage()) as { default: Pkcs11 };
    return names;
  } catch (error) {
    throw new ProvisioningError(
      'ca-misconfigured',
      `keys of the kind pkcs11 need the package pkcs11js, which is not installed or was not built (${reasonOf(error)}). It is optional because it is compiled at installation: install a C++ compiler, make and Python, and run npm ci again.`,
      { cause: error },
    );
  }
}

function reasonOf(error: unknown): string {
  const message = messageOf(error);
  return message
    .split('\n', 1)
    .join('')
    .replace(/[.:\s]+$/, '');
}
