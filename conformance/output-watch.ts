/** Beyond this an adapter's chatter is not kept. In characters. */
const mostKept = 1_000_000;

/** Keeps what is written to stdout and stderr from being shown, until it is disposed of. */
export class OutputWatch implements Disposable {
  #text = '';
  readonly #restore: (() => void)[] = [];

  constructor() {
    for (const stream of [process.stdout, process.stderr]) {
      const { write } = stream;
      stream.write = (chunk: string | Uint8Array, ...more: unknown[]) => {
        if (this.#text.length < mostKept) this.#text += Buffer.from(chunk).toString();
        const done = more.at(-1);
        if (typeof done === 'function') done();
        return true;
      };
      this.#restore.push(() => {
        stream.write = write;
      });
    }
  }

  get text(): string {
    return this.#text;
  }

  [Symbol.dispose](): void {
    for (const restore of this.#restore) restore();
  }
}
