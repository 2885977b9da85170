import { ProvisioningError } from '../../src/errors.ts';
import type { CsrAdditions } from '../../src/plug-in/certificate-authority.ts';
import { tag } from '../../src/x509/der.ts';
import { encodeText } from '../../src/x509/encode-der.ts';
import type { AdapterHttp } from '../shared/http.ts';
import { statusError } from './scep-server.ts';

/** PKCS#9 challengePassword (RFC 2985 5.4.1): what a SCEP server knows a welcome request by. */
const challengePassword = '1.2.840.113549.1.9.7';
const printable = /^[A-Za-z0-9 '()+,\-./:=?]*$/;
/** ub-pkcs9-challengePassword (RFC 2985 A). */
export const longestChallenge = 255;

/** As PrintableString where its few characters are enough, as older servers expect, otherwise as UTF8String. */
export function challengeAttribute(challenge: string): NonNullable<CsrAdditions['attributes']> {
  const stringTag = printable.test(challenge) ? tag.printableString : tag.utf8String;
  return [{ type: challengePassword, values: [encodeText(stringTag, challenge)] }];
}

export interface NdesOptions {
  readonly url: string;
  readonly username: string;
  readonly password: string;
  readonly http: AdapterHttp;
}

export interface NdesChallenge {
  readonly challenge: string;
  /** How long it is good for; undefined for one that does not expire. */
  readonly validForMs: number | undefined;
}

/** Where the page does not say: PasswordValidity's default in the registry. */
const usualMinutes = 60;
/** An abandoned challenge keeps its place in the cache until it expires. */
const cacheFullPauseMs = 5 * 60_000;

/**
 * A new challenge from NDES's administration page, which takes up one of its few places (PasswordMax, 5) until
 * it is used or expires.
 */
export async function ndesChallenge(
  { url, username, password, http }: NdesOptions,
  now: number,
  signal: AbortSignal,
): Promise<NdesChallenge> {
  const credentials = Buffer.from(`${username}:${password}`, 'utf8').toString('base64');
  const headers = { authorization: `Basic ${credentials}` };
  const answer = await http.request({ method: 'GET', url, headers }, signal);
  const secrets = [password, credentials];
  if (answer.status === 401) {
    throw new ProvisioningError(
      'ca-misconfigured',
      'The NDES administration page refuses our user name and password (HTTP 401). Fix: correct ndes.username and ndes.password, and enable Basic authentication for mscep_admin in IIS.',
    );
  }
  if (answer.status !== 200) throw statusError(answer, 'ndes.url', secrets, now);
  return readNdesPage(answer.body);
}

/** The page's language is that of the Windows installation; its structure is not. */
function readNdesPage(body: Buffer): NdesChallenge {
  const page = decodePage(body);
  const challenge =
    /enrollment challenge password is:\s*<B>\s*([0-9A-F]{4,128})\s*<\/B>/i.exec(page)?.[1] ??
    // The CA certificate's thumbprint comes earlier, in groups.
    [...page.matchAll(/<B>\s*([0-9A-F]{16,128})\s*<\/B>/gi)].at(-1)?.[1];
  if (challenge !== undefined) {
    const minutes = Number(/within\s+(\d{1,6})\s+minutes?/i.exec(page)?.[1] ?? usualMinutes);
    const lasts = /will not expire/i.test(page);
    return { challenge, validForMs: lasts ? undefined : minutes * 60_000 };
  }
  if (/password cache is full/i.test(page)) {
    throw new ProvisioningError(
      'ca-throttled',
      'NDES has no place for another challenge: its password cache is full. If it stays, raise PasswordMax in the registry of the NDES server.',
      { retryAfterMs: cacheFullPauseMs },
    );
  }
  if (/permission/i.test(page)) {
    throw new ProvisioningError(
      'ca-misconfigured',
      'NDES does not let our account have challenges. Fix: give ndes.username the right to enrol for the three templates of NDES.',
    );
  }
  throw new ProvisioningError(
    'ca-bad-answer',
    'There is no challenge on the page at ndes.url. Fix: use the address that ends in /certsrv/mscep_admin/.',
  );
}

/** IIS sends it in UTF-16, usually with a mark in front; proxies have been seen to turn it into UTF-8. */
function decodePage(body: Buffer): string {
  const [first, second] = body;
  if (first === 0xfe && second === 0xff) return new TextDecoder('utf-16be').decode(body);
  const littleEndian = (first === 0xff && second === 0xfe) || (first !== 0 && second === 0);
  return new TextDecoder(littleEndian ? 'utf-16le' : 'utf-8').decode(body);
}
