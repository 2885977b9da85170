import { openSync, readFileSync, writeSync } from 'node:fs';

/*
 * What a worker was doing when it died. Each line is one write to the file, done before the worker goes on,
 * so kill -9 loses none of it: `milliseconds word rest…`.
 */

export type TrailWord = 'take' | 'rest' | 'close' | 'pass' | 'die';

export interface TrailLine {
  readonly at: number;
  readonly word: TrailWord;
  /** A process id for take, rest and close; a point's name for pass and die. */
  readonly what: string;
}

export class Trail {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, 'a', 0o600);
  }

  write(word: TrailWord, what: string): void {
    writeSync(this.#file, `${Date.now()} ${word} ${what}\n`);
  }
}

export function readTrail(path: string): TrailLine[] {
  const lines: TrailLine[] = [];
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const [, at, word, what] = /^(\d+) (take|rest|close|pass|die) (.+)$/.exec(line) ?? [];
    if (at === undefined || word === undefined || what === undefined) continue;
    lines.push({ at: Number(at), word: word as TrailWord, what });
  }
  return lines;
}
