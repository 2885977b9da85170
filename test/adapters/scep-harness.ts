import scep from '../../adapters/scep/scep.ts';
import { connectContext } from '../support/connect-context.ts';
import { ScepDouble } from './doubles/scep-server.ts';
import type { HttpHarness } from './http-harness.ts';

/** The kind `scep` over a server of our own that keeps to RFC 8894. */
export async function scepHarness(): Promise<HttpHarness> {
  const challenge = 'correct horse battery staple';
  const server = await ScepDouble.start({ challenge });
  const context = connectContext('/', { env: { SCEP_CHALLENGE: challenge } });
  const options = scep.options.parse({
    url: server.url,
    caFingerprints: [server.fingerprint],
    challenge: { env: 'SCEP_CHALLENGE' },
  });
  const unwilling = `the request with ${challenge} is not to our liking`;
  return {
    connect: () => scep.connect(options, context, new AbortController().signal),
    hooks: {
      pendThenIssue: async () => void server.script.push('pend', 'pend', 'serve'),
      pendThenReject: async () => void server.script.push('pend', { fail: '2' }),
      reject: async () => void server.script.push({ fail: '2', text: unwilling }),
      failOnce: async () => void server.script.push({ http: 500, body: unwilling }),
      answerGarbage: async () => void server.script.push('garbage'),
      answerSlowly: async () => void server.script.push('slow'),
      async hang() {
        server.script.push('hang');
        return { reached: () => server.reached() };
      },
    },
    answerOrder({ status, headers, body }) {
      const answer = { http: status, headers, body };
      // Then it is sent once more, by GET.
      const isNoPost = status === 404 || status === 405;
      server.script.push(...(isNoPost ? [answer, answer] : [answer]));
    },
    secrets: [challenge],
    roots: async () => [server.pki.ca.certificate],
    validityAsAsked: {
      notSupported: 'A SCEP request cannot ask for a validity: the CA’s settings decide.',
    },
    leftovers: async () => [
      ...server.complaints,
      ...(server.hanging === 0 ? [] : [`${server.hanging} requests that nobody waits for`]),
    ],
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
