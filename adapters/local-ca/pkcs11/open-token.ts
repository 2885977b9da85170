import type { Handle, Template, TokenInfo } from 'pkcs11js';
import { ProvisioningError } from '../../../src/errors.ts';
import { untilAborted } from '../../../src/time/until-aborted.ts';
import type { Library, Pkcs11 } from './library.ts';
import { lettingGo, refusesPin, returnValueOf, SessionEndedError } from './problem.ts';

/** Which token, and how to open it. */
export interface TokenPlace {
  readonly tokenLabel: string | undefined;
  /** The number of its slot. */
  readonly slot: number | undefined;
  readonly pin: string;
}

/** The largest signature: RSA with 8192 bits. In bytes. */
const largestSignature = 1024;
/** Of the keys found under one name. */
const mostObjects = 16;

/**
 * A token we are logged in to, with two sessions: one whose calls the event loop waits for, and one for signatures
 * made on another thread, one after the other, because a session does one thing at a time.
 *
 * @throws PKCS#11 errors (see problem.ts), and {@link ProvisioningError} when the token is not there or must not be
 * shown the PIN.
 */
export class OpenToken {
  readonly #library: Library;
  readonly #slot: Handle;
  readonly #now: Handle;
  readonly #soon: Handle;
  /** The last signature in line; it never rejects. */
  #line: Promise<unknown> = Promise.resolve();
  /** Bytes the other thread reads and writes: nothing else holds them, and they must not be collected meanwhile. */
  #inUse: readonly Buffer[] = [];
  #ended = false;

  constructor(library: Library, place: TokenPlace) {
    this.#library = library;
    library.acquire();
    const { calls, names } = library;
    const sessions: Handle[] = [];
    const openSession = () => {
      const session = calls.C_OpenSession(this.#slot, names.CKF_SERIAL_SESSION);
      sessions.push(session);
      return session;
    };
    try {
      this.#slot = findSlot(library, place);
      this.#now = openSession();
      this.#soon = openSession();
      logIn(library, this.#now, calls.C_GetTokenInfo(this.#slot), place.pin);
    } catch (error) {
      letGo(library, sessions);
      throw error;
    }
  }

  get names(): Pkcs11 {
    return this.#library.names;
  }

  find(template: Template): Handle[] {
    const { calls } = this.#library;
    calls.C_FindObjectsInit(this.#now, template);
    try {
      return calls.C_FindObjects(this.#now, mostObjects);
    } finally {
      calls.C_FindObjectsFinal(this.#now);
    }
  }

  /** An attribute's bytes. */
  attribute(object: Handle, type: number): Buffer {
    const [found] = this.#library.calls.C_GetAttributeValue(this.#now, object, [{ type }]);
    return Buffer.isBuffer(found?.value) ? found.value : Buffer.alloc(0);
  }

  makeKeyPair(mechanism: number, publicKey: Template, privateKey: Template): Handle {
    const { calls, names } = this.#library;
    const flags = names.CKF_SERIAL_SESSION | names.CKF_RW_SESSION;
    const session = calls.C_OpenSession(this.#slot, flags);
    try {
      return calls.C_GenerateKeyPair(session, { mechanism }, publicKey, privateKey).publicKey;
    } finally {
      calls.C_CloseSession(session);
    }
  }

  /** The event loop waits for it. */
  sign(key: Handle, mechanism: number, data: Uint8Array): Buffer {
    const { calls } = this.#library;
    calls.C_SignInit(this.#now, { mechanism }, key);
    return calls.C_Sign(this.#now, Buffer.from(data), Buffer.alloc(largestSignature));
  }

  /** Signs on another thread, after those that are in line. What is aborted in line is not signed. */
  signSoon(key: Handle, mechanism: number, data: Uint8Array, signal: AbortSignal): Promise<Buffer> {
    const turn = this.#line.then(async () => {
      signal.throwIfAborted();
      if (this.#ended) throw new SessionEndedError('The session ended before its turn came');
      const { calls } = this.#library;
      const input = Buffer.from(data);
      const output = Buffer.alloc(largestSignature);
      this.#inUse = [input, output];
      calls.C_SignInit(this.#soon, { mechanism }, key);
      return calls.C_SignAsync(this.#soon, input, output);
    });
    const done = () => {
      this.#inUse = [];
    };
    this.#line = turn.then(done, done);
    return untilAborted(turn, signal);
  }

  /** Lets go of the token: at once, or when the signature under way is done. Harmless when called twice. */
  async end(): Promise<void> {
    if (this.#ended) return this.#line.then(() => undefined);
    this.#ended = true;
    if (this.#inUse.length > 0) await this.#line;
    letGo(this.#library, [this.#now, this.#soon]);
  }
}

/** A token that was removed has closed its sessions already. */
function letGo(library: Library, sessions: readonly Handle[]): void {
  for (const session of sessions) lettingGo(() => library.calls.C_CloseSession(session));
  library.release();
}

function findSlot({ calls, path }: Library, { tokenLabel, slot }: TokenPlace): Handle {
  const slots = calls.C_GetSlotList(true);
  const labels: string[] = [];
  const found: Handle[] = [];
  for (const each of slots) {
    const label = calls.C_GetTokenInfo(each).label.trimEnd();
    labels.push(`${JSON.stringify(label)} in slot ${numberOf(each)}`);
    if (tokenLabel === undefined ? numberOf(each) === slot : label === tokenLabel) found.push(each);
  }
  const [only, second] = found;
  if (only !== undefined && second === undefined) return only;
  const wanted = tokenLabel === undefined ? `in slot ${slot}` : `labelled "${tokenLabel}"`;
  const has = labels.length === 0 ? 'It shows no token.' : `It shows ${labels.join(', ')}.`;
  throw only === undefined
    ? new ProvisioningError(
        'ca-unavailable',
        `${path} has no token ${wanted}. ${has} Connect the token, or correct keys.tokenLabel or keys.slot, and look whether the service's user may use it.`,
      )
    : new ProvisioningError(
        'ca-misconfigured',
        `${path} has more than one token ${wanted}. ${has} Give one of them another label, or name it by keys.slot.`,
      );
}

/** A slot's id is a CK_ULONG in the machine's own order, which is little-endian wherever Node runs with us. */
function numberOf(slot: Handle): number {
  return slot.length >= 8 ? Number(slot.readBigUInt64LE()) : slot.readUInt32LE();
}

/** Shows the PIN once. All sessions of this process share the login. */
function logIn(library: Library, session: Handle, info: TokenInfo, pin: string): void {
  const { calls, names, refusedPins } = library;
  if ((info.flags & names.CKF_LOGIN_REQUIRED) === 0) return;
  const token = `The token "${info.label.trimEnd()}"`;
  const refused = refusedPins.get(info.serialNumber);
  if (refused?.pin === pin) {
    throw new ProvisioningError(
      'ca-misconfigured',
      `${token} refused the PIN (${refused.answer}). It is not shown to it again, because tokens lock themselves after a few wrong ones: correct the secret that keys.pin names, then restart the service.`,
    );
  }
  if ((info.flags & names.CKF_USER_PIN_LOCKED) !== 0) throw pinWithheld(token, 'is locked');
  if ((info.flags & names.CKF_USER_PIN_FINAL_TRY) !== 0) {
    throw pinWithheld(token, 'will lock itself with one more wrong PIN');
  }
  try {
    calls.C_Login(session, names.CKU_USER, pin);
    refusedPins.delete(info.serialNumber);
  } catch (error) {
    const answer = returnValueOf(error);
    if (answer === undefined) throw error;
    if (answer === 'CKR_USER_ALREADY_LOGGED_IN') return;
    if (refusesPin(error)) refusedPins.set(info.serialNumber, { pin, answer });
    throw error;
  }
}

function pinWithheld(token: string, why: string): ProvisioningError {
  return new ProvisioningError(
    'ca-misconfigured',
    `${token} ${why}, so the PIN is not shown to it. Log in with the token's own tool, as its security officer where it is locked, which also takes back the count of wrong PINs; see that keys.pin names the right secret. The next check finds out.`,
  );
}
