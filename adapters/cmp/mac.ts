import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { DerError, DerReader, readSingle, readSmallInteger, tag } from '../../src/x509/der.ts';
import { encode, encodeUnsigned } from '../../src/x509/encode-der.ts';
import { encodeAlgorithm, hashOids, hmacOids, readAlgorithm } from './algorithms.ts';

export const passwordBasedMac = '1.2.840.113533.7.66.13';
export const pbmac1 = '1.2.840.113549.1.5.14';
const pbkdf2Oid = '1.2.840.113549.1.5.12';
const sha256 = encodeAlgorithm('2.16.840.1.101.3.4.2.1');
const hmacWithSha256 = encodeAlgorithm('1.2.840.113549.2.9', encode(tag.null));

/** An answer that asks for more work than this is not computed. */
const mostIterations = 200_000;
/** The Siemens RA's default is 4,096, of which an HMAC uses the hash. Blocks by iterations is what it costs. */
const longestKeyBytes = 16_384;
const mostRounds = 4_000_000;
const longestSalt = 1_024;
const saltBytes = 16;

const derive = promisify(pbkdf2);

export interface Mac {
  /** AlgorithmIdentifier, DER. */
  readonly algorithm: Uint8Array;
  compute(data: Uint8Array): Promise<Uint8Array>;
}

/** A MAC with a fresh salt. */
export function newMac(kind: 'pbm' | 'pbmac1', secret: string, iterations: number): Mac {
  const salt = encode(tag.octetString, randomBytes(saltBytes));
  const rounds = Buffer.alloc(4);
  rounds.writeUInt32BE(iterations);
  const count = encodeUnsigned(rounds);
  const algorithm =
    kind === 'pbm'
      ? // PBMParameter ::= SEQUENCE { salt, owf, iterationCount, mac }            (RFC 9810 5.1.3.1)
        encodeAlgorithm(passwordBasedMac, encode(tag.sequence, salt, sha256, count, hmacWithSha256))
      : // PBMAC1-params ::= SEQUENCE { keyDerivationFunc, messageAuthScheme }     (RFC 8018 A.5)
        encodeAlgorithm(
          pbmac1,
          encode(
            tag.sequence,
            encodeAlgorithm(
              pbkdf2Oid,
              encode(tag.sequence, salt, count, encodeUnsigned(Uint8Array.of(32)), hmacWithSha256),
            ),
            hmacWithSha256,
          ),
        );
  return { algorithm, compute: (data) => macOf(algorithm, secret, data) };
}

/** @throws {DerError} for parameters that are not understood, or ask for too much. */
export async function isMac(
  algorithm: Uint8Array,
  secret: string,
  data: Uint8Array,
  mac: Uint8Array,
): Promise<boolean> {
  const expected = await macOf(algorithm, secret, data);
  return expected.length === mac.length && timingSafeEqual(expected, mac);
}

async function macOf(der: Uint8Array, secret: string, data: Uint8Array): Promise<Uint8Array> {
  const { oid, parameters } = readAlgorithm(der);
  if (parameters === undefined) throw new DerError('The MAC has no parameters');
  const fields = new DerReader(readSingle(parameters, tag.sequence, 'The MAC').content, 'The MAC');
  const { key, hash } =
    oid === passwordBasedMac ? pbmKey(fields, secret) : await pbmac1Key(fields, secret);
  return createHmac(hash, key).update(data).digest();
}

/** The key is the hash, again and again, of the secret followed by the salt. */
function pbmKey(fields: DerReader, secret: string) {
  const salt = saltIn(fields);
  const owf = named(hashOids, fields.next(tag.sequence).bytes);
  const iterations = iterationsIn(fields);
  const hash = named(hmacOids, fields.next(tag.sequence).bytes);
  let key = createHash(owf).update(secret, 'utf8').update(salt).digest();
  for (let i = 1; i < iterations; i++) key = createHash(owf).update(key).digest();
  return { key, hash };
}

/** PBKDF2-params ::= SEQUENCE { salt, iterationCount, keyLength OPTIONAL, prf DEFAULT hmacWithSHA1 } */
async function pbmac1Key(fields: DerReader, secret: string) {
  const derivation = readAlgorithm(fields.next(tag.sequence).bytes);
  const hash = named(hmacOids, fields.next(tag.sequence).bytes);
  if (derivation.oid !== pbkdf2Oid || derivation.parameters === undefined) {
    throw new DerError('PBMAC1 derives its key otherwise than by PBKDF2');
  }
  const inner = new DerReader(derivation.parameters, 'PBKDF2').into('PBKDF2');
  const salt = saltIn(inner);
  const iterations = iterationsIn(inner);
  const length = inner.optional(tag.integer);
  const prf = inner.done ? 'sha1' : named(hmacOids, inner.next(tag.sequence).bytes);
  const bytes = length === undefined ? createHash(hash).digest().length : readSmallInteger(length);
  if (bytes < 1 || bytes > longestKeyBytes) {
    throw new DerError(
      `The MAC wants a key of ${bytes} bytes; ${longestKeyBytes} are made at most`,
    );
  }
  const blocks = Math.ceil(bytes / createHash(prf).digest().length);
  if (blocks * iterations > mostRounds) {
    throw new DerError(
      `The MAC wants ${iterations} iterations for each of ${blocks} blocks; ${mostRounds} are done at most in all`,
    );
  }
  return { key: await derive(secret, salt, iterations, bytes, prf), hash };
}

function saltIn(fields: DerReader): Uint8Array {
  const { content } = fields.next(tag.octetString);
  if (content.length > longestSalt) throw new DerError('The salt of the MAC is too long');
  return content;
}

function iterationsIn(fields: DerReader): number {
  const iterations = readSmallInteger(fields.next(tag.integer));
  if (iterations < 1 || iterations > mostIterations) {
    throw new DerError(
      `The MAC wants ${iterations} iterations; ${mostIterations} are done at most`,
    );
  }
  return iterations;
}

function named(table: Readonly<Record<string, string>>, der: Uint8Array): string {
  const { oid } = readAlgorithm(der);
  const name = table[oid];
  if (name === undefined) throw new DerError(`The MAC uses the algorithm ${oid}, not known here`);
  return name;
}
