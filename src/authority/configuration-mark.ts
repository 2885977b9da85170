import { createHash, type Hash, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { SecretReference } from '../plug-in/certificate-authority.ts';
import { isSecretReference } from '../plug-in/secret.ts';
import type { ConfigurationMark } from './standing-book.ts';

/*
 * Tells one configuration of an authority from another. What its options refer to counts with its content: a
 * challenge in an environment variable or a file, a client certificate, a command. The mark must give nothing away,
 * not even to somebody who tries a dictionary of passwords on the journal's copy. So it is scrypt (RFC 7914) over a
 * digest of all of it, with a salt of its own.
 */

export interface MarkedConfiguration {
  /** The authority's part of the configuration: plain data. */
  readonly settings: unknown;
  /** An absolute path for one that is relative to the configuration file. */
  resolvePath(path: string): string;
  readSecret(reference: SecretReference): Promise<string>;
}

/** A larger file is known by its size alone: it is a program, not a certificate. In bytes. */
const largestFileBytes = 1024 * 1024;
const longestPath = 4_096;
const deepestSetting = 12;
const sealBytes = 16;

const derive = promisify<string | Buffer, Buffer, number, Buffer>(scrypt);

export function configurationMark(configuration: MarkedConfiguration): ConfigurationMark {
  /** The last seal, so that what has not changed is not sealed again. */
  let known: { readonly digest: Buffer; readonly salt: Buffer; readonly seal: Buffer } | undefined;
  const sealed = async (salt: Buffer): Promise<Buffer> => {
    const digest = await digestOf(configuration);
    if (known?.digest.equals(digest) === true && known.salt.equals(salt)) return known.seal;
    const seal = await derive(digest, salt, sealBytes);
    known = { digest, salt, seal };
    return seal;
  };
  return {
    async make() {
      const salt = randomBytes(sealBytes);
      return `${salt.toString('hex')}.${(await sealed(salt)).toString('hex')}`;
    },
    async matches(mark) {
      const [salt = '', seal = ''] = mark.split('.');
      const wanted = Buffer.from(seal, 'hex');
      if (wanted.length !== sealBytes) return false;
      return timingSafeEqual(wanted, await sealed(Buffer.from(salt, 'hex')));
    },
  };
}

async function digestOf(configuration: MarkedConfiguration): Promise<Buffer> {
  const hash = createHash('sha256');
  await add(configuration.settings, hash, configuration, 0);
  return hash.digest();
}

async function add(
  value: unknown,
  hash: Hash,
  configuration: MarkedConfiguration,
  depth: number,
): Promise<void> {
  if (depth > deepestSetting) return;
  if (isSecretReference(value)) {
    hash.update(JSON.stringify(['secret', value, await secretOf(value, configuration)]));
  } else if (typeof value === 'string') {
    hash.update(JSON.stringify(['text', value]));
    await addFile(value, hash, configuration);
  } else if (ArrayBuffer.isView(value)) {
    hash.update(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
  } else if (typeof value === 'object' && value !== null) {
    hash.update(Array.isArray(value) ? '[' : '{');
    // What cannot be taken apart, such as a URL, is known by its text.
    const isPlain = Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
    if (!isPlain) hash.update(JSON.stringify(String(value)));
    for (const [key, inner] of Object.entries(value)) {
      hash.update(JSON.stringify(['key', key]));
      await add(inner, hash, configuration, depth + 1);
    }
    hash.update('}');
  } else {
    hash.update(`${typeof value} ${String(value)},`);
  }
}

async function secretOf(reference: SecretReference, { readSecret }: MarkedConfiguration) {
  try {
    return await readSecret(reference);
  } catch (error) {
    // Its adapter says what is wrong with it; here it only has to look different from one that is there.
    return { missing: error instanceof Error ? error.name : typeof error };
  }
}

/** A text that names a file stands for what is in it. */
async function addFile(text: string, hash: Hash, { resolvePath }: MarkedConfiguration) {
  if (text === '' || text.length > longestPath || text.includes('\0')) return;
  const path = resolvePath(text);
  try {
    const { size, isFile } = await stat(path).then((found) => ({
      size: found.size,
      isFile: found.isFile(),
    }));
    if (!isFile) return;
    hash.update(`file ${size} `);
    if (size <= largestFileBytes) hash.update(await readFile(path));
  } catch {
    // Most texts name no file, and it is for the adapter to complain about one that cannot be read.
  }
}
