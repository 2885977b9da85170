import { createHmac } from 'node:crypto';

/** The header by which a service knows that a request is ours, and of when. */
export const signatureHeader = 'Certprov-Signature';

/**
 * `t=<seconds since the epoch>,v1=<hex>`, one v1 for each secret: HMAC-SHA256 (RFC 2104), keyed with the
 * secret's UTF-8, over `<t>.<body>`. A service accepts the request when any v1 is right and t is not old.
 */
export function signatureOf(body: string, secrets: readonly string[], now: number): string {
  const at = Math.floor(now / 1_000);
  const parts = secrets.map(
    (secret) => `v1=${createHmac('sha256', secret).update(`${at}.${body}`).digest('hex')}`,
  );
  return [`t=${at}`, ...parts].join(',');
}
