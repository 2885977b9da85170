import type { AdapterHarness } from '../../conformance/harness.ts';

export interface OddAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A harness of a kind that orders over HTTP. */
export interface HttpHarness extends AdapterHarness {
  /** The next order is answered so, whatever the CA would say. */
  answerOrder(answer: OddAnswer): void;
}
