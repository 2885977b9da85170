import { STATUS_CODES } from 'node:http';
import type { HttpAnswer } from '../shared/http.ts';
import { isPage } from '../shared/server-words.ts';

/**
 * Whether a refusal is the EST server's own: "a plaintext human-readable error message" (RFC 7030 4.2.3). A web server
 * before it sends pages, or nothing: nginx says so that a client certificate has expired.
 */
export function hasOwnWords({ status, headers, body }: HttpAnswer): boolean {
  const type = String(headers['content-type'] ?? 'text/plain');
  const text = body.toString('utf8').trim();
  const reason = STATUS_CODES[status] ?? '';
  const isReasonAlone = text.replace(/^(?:HTTP\/\S+ )?\d{0,3}\s*|\.$/gi, '') === reason;
  const isJson = /^[[{]|^(?:null|true|false)$/.test(text);
  const isPlain = /^text\/plain\b/i.test(type) && text !== '' && !isPage(text) && !isJson;
  return isPlain && !isReasonAlone && !ofTheWay.test(text);
}

/**
 * Words about the way and not about a CSR. Envoy and servers written in Go refuse in plain text too ("Client sent an HTTP
 * request to an HTTPS server."), and whatever an EST server says about connections is for the operator as well.
 */
const ofTheWay =
  /\b(?:upstream|gateway|proxy|load balancer|https? (?:request|server|port)|host header|client certificate|(?:tls|ssl) (?:connection|handshake))\b/i;

/** What mends a refusal that does not concern one order. */
export function hintFor(status: number, headers: HttpAnswer['headers']): string {
  if (status === 400) {
    return 'A page, or nothing, is not how EST refuses an order: a web server before it speaks, often because our client certificate (tls.certFile) is missing, has expired or is not known there.';
  }
  if (status === 401) {
    return /^\s*digest/i.test(String(headers['www-authenticate'] ?? ''))
      ? 'The server wants HTTP Digest, which is not supported: use Basic or a client certificate.'
      : 'Look at username and password, or at the client certificate.';
  }
  if (status === 403) {
    return 'Our credentials must be allowed to enrol for others: a certificate with id-kp-cmcRA, or an entry on the server.';
  }
  if (status === 404 || status === 405) return 'Look at url and label.';
  return 'The server does not take our requests as RFC 7030 describes them. Is this an EST server?';
}
