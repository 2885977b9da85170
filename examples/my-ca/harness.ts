import type { CaUnderTest } from 'certprov/conformance';
import { FakeCa, type Word } from './fake-ca.ts';

/** A CA for one case of the contract, and how to make it misbehave with the next order. */
export default async function harness(): Promise<CaUnderTest> {
  const ca = await FakeCa.start();
  const told = (...words: Word[]) => {
    return async () => ca.script(...words);
  };
  return {
    options: { url: ca.url, token: { env: 'MY_CA_TOKEN' } },
    env: { MY_CA_TOKEN: ca.token },
    roots: async () => [ca.root],
    validityAsAsked: true,
    hooks: {
      pendThenIssue: told('wait', 'wait'),
      pendThenReject: told('wait', 'refuse'),
      reject: told('refuse'),
      failOnce: told('fail'),
      answerGarbage: told('garbage'),
      answerSlowly: told('slow'),
      async hang() {
        ca.script('hang');
        return { reached: () => ca.reached() };
      },
    },
    leftovers: async () => ca.held,
    [Symbol.asyncDispose]: () => ca[Symbol.asyncDispose](),
  };
}
