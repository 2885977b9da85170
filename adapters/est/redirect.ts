import type { AdapterHttp, HttpAnswer, HttpRequest } from '../shared/http.ts';

/** A server that sends us in circles is misconfigured. */
const mostRedirects = 3;

/**
 * Sends a request, and again with the same method where the server says that it lives elsewhere within its origin
 * (RFC 7030 3.2.1): our credentials are for that origin. Any other redirect is the answer.
 */
export async function followed(
  http: AdapterHttp,
  request: HttpRequest,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  let url = new URL(request.url);
  for (let hops = 0; ; hops++) {
    const answer = await http.request({ ...request, url }, signal);
    const { location } = answer.headers;
    const isRedirect = [301, 302, 307, 308].includes(answer.status);
    if (!isRedirect || typeof location !== 'string' || hops === mostRedirects) return answer;
    const to = URL.parse(location, url.href);
    if (to?.origin !== url.origin) return answer;
    url = to;
  }
}
