import { createPublicKey, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import { closeSync, fdatasync, mkdirSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { readCertificate } from '../../src/x509/certificate.ts';
import { contextTag, tag } from '../../src/x509/der.ts';
import { encodeName } from '../../src/x509/distinguished-name.ts';
import { encode, encodeBitString, encodeOid, encodeUnsigned } from '../../src/x509/encode-der.ts';
import { encodeExtensions } from '../../src/x509/extensions.ts';
import { decodePem, encodePem } from '../../src/x509/pem.ts';

/*
 * What any right program does besides its calls: it verifies what a device signed, assembles and signs a certificate,
 * and writes down durably what a crash must not lose. Nothing is looked at twice here, nothing is told, nothing fails.
 */

const ecdsaWithSha256 = encode(tag.sequence, encodeOid('1.2.840.10045.4.3.2'));
const sync = promisify(fdatasync);

/** Durable notes in SQLite. Those that come while others are on their way to the disk share the next transaction. */
export class Notes implements AsyncDisposable {
  readonly #database: DatabaseSync;
  readonly #log: number;
  #waiting: { readonly id: string; readonly note: string; readonly resolve: () => void }[] = [];
  #writing: Promise<void> | undefined;

  constructor(directory: string) {
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
    const file = join(directory, 'notes.db');
    this.#database = new DatabaseSync(file);
    // The fdatasync of FULL is made beside the event loop, which is faster: the floor's promise is the service's.
    this.#database.exec(`PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;
      PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 4000;
      CREATE TABLE process (id TEXT PRIMARY KEY, note TEXT NOT NULL) STRICT`);
    this.#log = openSync(`${file}-wal`, 'r');
  }

  /** Resolves when it is on the disk. */
  write(id: string, note: object): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ id, note: JSON.stringify(note), resolve });
    this.#writing ??= this.#writeAll();
    return promise;
  }

  async #writeAll(): Promise<void> {
    const save = this.#database.prepare(
      'INSERT INTO process VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET note = excluded.note',
    );
    while (this.#waiting.length > 0) {
      await new Promise(setImmediate);
      const batch = this.#waiting;
      this.#waiting = [];
      this.#database.exec('BEGIN IMMEDIATE');
      for (const { id, note } of batch) save.run(id, note);
      this.#database.exec('COMMIT');
      await sync(this.#log);
      for (const { resolve } of batch) resolve();
    }
    this.#writing = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing;
    this.#database.close();
    closeSync(this.#log);
  }
}

/** Throws unless the signature (base64) is the key's over the data. */
export function verifySignature(spki: Uint8Array, data: Uint8Array, signature: Uint8Array): void {
  const pem = encodePem('PUBLIC KEY', spki);
  if (!verify('sha256', data, createPublicKey(pem), signature)) {
    throw new Error('A device’s signature is not good.');
  }
}

/** Certificates like `like` (PEM), each with a serial number and a key of its own, by a CA of P-256. */
export function certifierLike(like: string): (spki: Uint8Array) => string {
  const facts = readCertificate(decodePem(like, 'CERTIFICATE')[0]?.der ?? new Uint8Array());
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const version = encode(contextTag(0, 'constructed'), encodeUnsigned(Uint8Array.of(2)));
  return (spki) => {
    const now = Date.now();
    const toBeSigned = encode(
      tag.sequence,
      version,
      encodeUnsigned(randomBytes(16)),
      ecdsaWithSha256,
      facts.issuer,
      encode(tag.sequence, encodeTime(now), encodeTime(now + facts.notAfter - facts.notBefore)),
      encodeName(facts.subject),
      spki,
      encode(contextTag(3, 'constructed'), encodeExtensions(facts.extensions)),
    );
    const signature = sign('sha256', toBeSigned, privateKey);
    const der = encode(tag.sequence, toBeSigned, ecdsaWithSha256, encodeBitString(signature));
    return encodePem('CERTIFICATE', der);
  };
}

/** UTCTime. */
function encodeTime(time: number): Uint8Array {
  const text = new Date(time).toISOString().replace(/\.\d+|[-:T]/g, '');
  return encode(tag.utcTime, Buffer.from(text.slice(2), 'latin1'));
}
