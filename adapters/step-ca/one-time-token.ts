import { randomUUID } from 'node:crypto';
import { calculateJwkThumbprint, compactDecrypt, importJWK, type JWK, SignJWT } from 'jose';
import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import type { Clock } from '../../src/time/clock.ts';

/** How long a token is good; smallstep's own tools use the same. */
const tokenLifeMs = 5 * 60_000;
/** For a CA whose clock lags behind ours. */
const backdatedMs = 30_000;
/** smallstep derives the key of an encrypted provisioner key with 100,000 or 600,000 rounds. */
const mostRounds = 1_000_000;

const privateJwk = z
  .looseObject({
    kty: z.enum(['EC', 'RSA', 'OKP']),
    kid: z.string().optional(),
    alg: z.string().optional(),
    crv: z.string().optional(),
  })
  .refine((jwk) => typeof jwk['d'] === 'string', 'it is a public key');

/** What a token is for: `aud`, `sub` and, for a certificate, the names it may have. */
export interface TokenPurpose {
  readonly audience: string;
  readonly subject: string;
  readonly sans?: readonly string[];
}

/** Mints one-time tokens of a JWK provisioner; no token is ever given twice. */
export type TokenMint = (purpose: TokenPurpose) => Promise<string>;

/**
 * @param provisioner its name at the CA: the tokens' issuer.
 * @param keyText the provisioner's private key: a JWK, or a JWE (compact) that `password` opens.
 * @throws {ProvisioningError} `ca-misconfigured`; the key is not repeated.
 */
export async function tokenMint(
  provisioner: string,
  keyText: string,
  password: string | undefined,
  clock: Clock,
): Promise<TokenMint> {
  const jwk = await readKey(keyText.trim(), password);
  const algorithm = algorithmOf(jwk);
  const kid = jwk.kid ?? (await calculateJwkThumbprint(jwk as JWK, 'sha256'));
  const key = await importJWK(jwk as JWK, algorithm).catch((error: unknown) => {
    throw wrongKey('it cannot be used', error);
  });
  return ({ audience, subject, sans }) => {
    const now = clock.now();
    return new SignJWT(sans === undefined ? {} : { sans: [...sans] })
      .setProtectedHeader({ alg: algorithm, kid, typ: 'JWT' })
      .setIssuer(provisioner)
      .setAudience(audience)
      .setSubject(subject)
      .setJti(randomUUID())
      .setIssuedAt(seconds(now))
      .setNotBefore(seconds(now - backdatedMs))
      .setExpirationTime(seconds(now + tokenLifeMs))
      .sign(key);
  };
}

async function readKey(text: string, password: string | undefined) {
  const json = text.startsWith('{') ? text : await decrypted(text, password);
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch {
    throw wrongKey('it is neither a JWK nor a JWE');
  }
  const read = privateJwk.safeParse(parsed);
  if (!read.success) throw wrongKey(read.error.issues[0]?.message ?? 'it is no JWK');
  return read.data;
}

async function decrypted(jwe: string, password: string | undefined): Promise<string> {
  if (password === undefined) throw wrongKey('it is encrypted, and keyPassword is not set');
  try {
    const { plaintext } = await compactDecrypt(jwe, new TextEncoder().encode(password), {
      keyManagementAlgorithms: ['PBES2-HS256+A128KW', 'PBES2-HS512+A256KW'],
      maxPBES2Count: mostRounds,
    });
    return new TextDecoder().decode(plaintext);
  } catch (error) {
    throw wrongKey('keyPassword does not open it', error);
  }
}

const algorithmOfCurve: Readonly<Record<string, string>> = {
  'P-256': 'ES256',
  'P-384': 'ES384',
  'P-521': 'ES512',
  Ed25519: 'EdDSA',
};

function algorithmOf({ alg, kty, crv = '' }: z.output<typeof privateJwk>): string {
  const found = alg ?? (kty === 'RSA' ? 'RS256' : algorithmOfCurve[crv]);
  if (found === undefined) throw wrongKey(`there is no algorithm for ${kty} ${crv}`);
  return found;
}

function wrongKey(why: string, cause?: unknown): ProvisioningError {
  return new ProvisioningError(
    'ca-misconfigured',
    `The provisioner's key cannot be used: ${why}. It is the private JWK, or the encryptedKey that ca.json has for the provisioner, with keyPassword.`,
    { cause },
  );
}

function seconds(ms: number): number {
  return Math.floor(ms / 1_000);
}
