import type { AdapterHarness, NotSupported } from '../../conformance/harness.ts';
import type { LoopbackProcess } from '../../simulator/peers/loopback-process.ts';

/** A real server cannot be told to misbehave, except that it may be frozen. */
export function realServerHooks(server: () => LoopbackProcess): AdapterHarness['hooks'] {
  const behaves: NotSupported = {
    notSupported: 'A real server cannot be made to do this on demand; the double shows it.',
  };
  return {
    pendThenIssue: behaves,
    pendThenReject: behaves,
    reject: behaves,
    failOnce: behaves,
    answerGarbage: behaves,
    answerSlowly: behaves,
    async hang() {
      server().freeze();
      // Nothing tells that a frozen server has a request in hand: the kernel holds it.
      return { reached: async () => undefined };
    },
  };
}
