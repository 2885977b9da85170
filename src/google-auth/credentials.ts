import type { AuthClient } from 'google-auth-library';
import { GoogleError } from '../errors.ts';
import { proxyProblem } from '../network/tunnel.ts';
import type { Clock } from '../time/clock.ts';
import { untilAborted } from '../time/until-aborted.ts';
import { messageOf } from '../words/message-of.ts';
import { oneLine } from '../words/one-line.ts';
import { createAuthClient } from './auth-client.ts';
import type { GoogleCredentials } from './google-credentials.ts';

/** It is in no discovery document, so it has to be named. */
export const provisioningScope =
  'https://www.googleapis.com/auth/chrome.management.certprov.provisioningprocess';

/** Where the Authorization header comes from. */
export interface TokenSource {
  /**
   * The header's value, or undefined where none is to be sent.
   *
   * @throws {GoogleError} `google-unauthenticated` when no token can be had.
   */
  header(signal: AbortSignal): Promise<string | undefined>;
  /** Google refused this header: the next one is made anew. */
  invalidate(header: string): void;
}

/** For an endpoint on loopback that asks for nothing. */
export const anonymous: TokenSource = {
  header: () => Promise.resolve(undefined),
  invalidate() {
    // There is nothing to forget.
  },
};

interface AccessToken {
  readonly header: string;
  /** From then on a new one is requested. */
  renewAt: number;
  readonly expiresAt: number;
}

export interface GoogleTokensOptions {
  /** Makes the library's client; made again after a refused token, so that a changed key file is read. */
  readonly connect: () => Promise<Pick<AuthClient, 'getAccessToken' | 'credentials'>>;
  readonly clock: Clock;
  /** How long a token may take to come. */
  readonly deadlineMs?: number;
}

/** A token that does not say when it expires is used for five minutes. */
const unknownLifetimeMs = 5 * 60_000;
const renewBeforeMs = 4 * 60_000;
/** How long an old token that is still good is used before a failed renewal is repeated. */
const renewAgainMs = 15_000;

/** Where most credentials get their tokens from: a proxy on the way there may be what is wrong. */
const tokenHost = new URL('https://oauth2.googleapis.com');

/** Access tokens, kept until shortly before they expire; many callers at once cause one request. */
export class GoogleTokens implements TokenSource {
  readonly #options: GoogleTokensOptions;
  #client: ReturnType<GoogleTokensOptions['connect']> | undefined;
  #token: AccessToken | undefined;
  #pending: Promise<string> | undefined;

  constructor(options: GoogleTokensOptions) {
    this.#options = options;
  }

  header(signal: AbortSignal): Promise<string> {
    if (this.#token !== undefined && this.#options.clock.now() < this.#token.renewAt) {
      return Promise.resolve(this.#token.header);
    }
    this.#pending ??= this.#renew().finally(() => {
      this.#pending = undefined;
    });
    return untilAborted(this.#pending, signal);
  }

  invalidate(header: string): void {
    if (this.#token?.header !== header) return;
    this.#token = undefined;
    this.#client = undefined;
  }

  async #renew(): Promise<string> {
    const deadline = AbortSignal.timeout(this.#options.deadlineMs ?? 15_000);
    try {
      const token = await untilAborted(this.#fetch(), deadline);
      this.#token = token;
      return token.header;
    } catch (error) {
      this.#client = undefined;
      const now = this.#options.clock.now();
      if (this.#token !== undefined && now < this.#token.expiresAt) {
        this.#token.renewAt = now + renewAgainMs;
        return this.#token.header;
      }
      const proxy = await proxyProblem(tokenHost);
      const words = deadline.aborted ? 'no answer in time' : oneLine(messageOf(error), 300);
      const reason = [words, ...(proxy === undefined ? [] : [`(${proxy})`])].join(' ').trim();
      throw new GoogleError(
        'google-unauthenticated',
        `No access token for Google could be had: ${reason}. Check google.credentials.`,
        { unclear: false },
      );
    }
  }

  async #fetch(): Promise<AccessToken> {
    this.#client ??= this.#options.connect();
    const client = await this.#client;
    const { token } = await client.getAccessToken();
    // It becomes part of a header.
    if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) {
      throw new Error('the answer has no access token');
    }
    const now = this.#options.clock.now();
    const expiresAt = client.credentials.expiry_date ?? now + unknownLifetimeMs + renewBeforeMs;
    const renewAt = Math.max(expiresAt - renewBeforeMs, (now + expiresAt) / 2);
    return { header: `Bearer ${token}`, renewAt, expiresAt };
  }
}

/** Tokens for the provisioning API, or none. */
export function createTokenSource(credentials: GoogleCredentials, clock: Clock): TokenSource {
  if (credentials === 'none') return anonymous;
  return new GoogleTokens({
    connect: () => createAuthClient(credentials, [provisioningScope]),
    clock,
  });
}
