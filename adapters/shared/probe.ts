import type { AdapterHttp, HttpAnswer } from './http.ts';
import { isPage } from './server-words.ts';

/**
 * For a server without a question that changes nothing: looks by OPTIONS whether somebody is there. What it says to that
 * tells nothing otherwise, so only an answer that no CA would give (a failure, a redirect, a proxy's 407, a page of HTML
 * for a success) is handed on; undefined for any other.
 */
export async function probe(
  http: AdapterHttp,
  url: string,
  signal: AbortSignal,
): Promise<HttpAnswer | undefined> {
  const answer = await http.request({ method: 'OPTIONS', url }, signal);
  const { status, body } = answer;
  const isFailure = status >= 500 && status !== 501;
  const isOfTheWay = [301, 302, 303, 307, 308, 407].includes(status);
  const isPortal = status === 200 && isPage(body.toString('utf8'));
  return isFailure || isOfTheWay || isPortal ? answer : undefined;
}
