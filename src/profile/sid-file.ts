import { closeSync, fstatSync, openSync, readFileSync, statSync } from 'node:fs';
import { ProvisioningError } from '../errors.ts';
import type { Subject } from '../request/requested-certificate.ts';
import { messageOf } from '../words/message-of.ts';
import { plainText } from '../words/plain-text.ts';
import { isSid } from '../x509/microsoft-extensions.ts';

/*
 * Says whose account it is: a file that an administrator keeps, with a line for each person or device,
 * `anna@example.org,S-1-5-21-…`. It is the only source of SIDs. Google's record has none; what it does have is used
 * to look up a line, and never becomes part of a SID. A domain accepts a certificate for the account of its SID,
 * whatever its names say.
 */

/** Which of Google's facts a line is found by. */
const keysOf = {
  email: (subject: Subject) =>
    subject.kind === 'user' ? subject.userPrimaryEmail?.toLowerCase() : undefined,
  userDirectoryId: (subject: Subject) =>
    subject.kind === 'user' ? subject.userDirectoryApiId : undefined,
  // A user's record may name the device, too, but a user's certificate is never for the device's account.
  deviceDirectoryId: (subject: Subject) =>
    subject.kind === 'device' ? subject.deviceDirectoryApiId : undefined,
  serialNumber: (subject: Subject) =>
    subject.kind === 'device' ? subject.serialNumber : undefined,
} as const;

export type SidKey = keyof typeof keysOf;
export const sidKeys = Object.keys(keysOf) as [SidKey, ...SidKey[]];

/** In bytes: some 200 000 lines. */
const largestFileBytes = 16 * 1024 * 1024;

export class SidFile {
  readonly #path: string;
  readonly #key: SidKey;
  #sids: ReadonlyMap<string, string> = new Map();
  /** What the file was when it was read. */
  #version: string | undefined;

  /** @param path absolute. */
  constructor(path: string, key: SidKey) {
    this.#path = path;
    this.#key = key;
  }

  /**
   * The SID of whoever asks; undefined when the file has no line for them. A file that has changed is read anew.
   *
   * @throws {ProvisioningError} `sid-file-unusable` when the file is not there or any line of it is wrong.
   */
  sidOf(subject: Subject): string | undefined {
    this.refresh();
    const key = keysOf[this.#key](subject);
    return key === undefined ? undefined : this.#sids.get(key);
  }

  /** Reads the file if it has changed. Throws as {@link sidOf} does. */
  refresh(): void {
    try {
      const stats = statSync(this.#path, { bigint: true });
      // Reading a pipe would wait.
      if (!stats.isFile()) throw new Error('it is no plain file.');
      const { mtimeNs, ino, size } = stats;
      const version = `${mtimeNs}/${ino}/${size}`;
      if (version === this.#version) return;
      this.#sids = parse(readLimited(this.#path), this.#key);
      this.#version = version;
    } catch (error) {
      // Nor may an old line still count when the file that replaces it cannot be understood.
      this.#version = undefined;
      throw new ProvisioningError(
        'sid-file-unusable',
        `The file of SIDs ${this.#path} cannot be used: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }
}

function readLimited(path: string): string {
  const descriptor = openSync(path, 'r');
  try {
    const { size } = fstatSync(descriptor);
    if (size > largestFileBytes) {
      throw new Error(`it has ${size} bytes; ${largestFileBytes} are read at most.`);
    }
    return plainText(readFileSync(descriptor));
  } finally {
    closeSync(descriptor);
  }
}

/** Lines of `key,SID`; each may be in double quotes. Empty lines, lines with # and a first line `…,sid` do not count. */
function parse(text: string, key: SidKey): Map<string, string> {
  // A SID that is cut off may be somebody else's.
  if (text !== '' && !text.endsWith('\n')) {
    throw new Error(
      'its last line does not end with a line break, so it may be written only in part.',
    );
  }
  const sids = new Map<string, string>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const fields = line.split(',').map((field) => field.trim().replace(/^"(.*)"$/, '$1'));
    const [name = '', sid = ''] = fields;
    if (index === 0 && sid.toLowerCase() === 'sid') continue;
    const where = `line ${index + 1}`;
    if (fields.length !== 2 || name === '') {
      throw new Error(`${where} is not of the form ${key},SID.`);
    }
    if (!isSid(sid)) throw new Error(`${where} has no SID (S-1-…) after its comma.`);
    const known = key === 'email' ? name.toLowerCase() : name;
    if ((sids.get(known) ?? sid) !== sid) {
      throw new Error(`${where} gives a second SID to what an earlier line names.`);
    }
    sids.set(known, sid);
  }
  return sids;
}
