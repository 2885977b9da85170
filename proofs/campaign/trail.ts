import { openSync, readFileSync, writeSync } from 'node:fs';

/*
 * What a worker was doing when it died. Each line is one write to the file, done before the worker goes on,
 * so kill -9 loses none of it: `milliseconds word rest…`.
 */

export type TrailWord = 'take' | 'resting' | 'rest' | 'close' | 'pass' | 'die';

export interface TrailLine {
  readonly at: number;
  readonly word: TrailWord;
  /** A process id for take, resting, rest and close; a point's name for pass and die. */
  readonly what: string;
  /** For resting: when the process is to be due again, if that write gets through. */
  readonly dueAt?: number;
}

export class Trail {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, 'a', 0o600);
  }

  write(word: TrailWord, what: string): void {
    writeSync(this.#file, `${Date.now()} ${word} ${what}\n`);
  }

  writeResting(processId: string, dueAt: number): void {
    this.write('resting', `${processId} due at ${Math.ceil(dueAt)}`);
  }
}

const form = /^(\d+) (take|resting|rest|close|pass|die) (.+?)(?: due at (\d+))?$/;

export function readTrail(path: string): TrailLine[] {
  const lines: TrailLine[] = [];
  for (const text of readFileSync(path, 'utf8').split('\n')) {
    const [, at, word, what, dueAt] = form.exec(text) ?? [];
    if (at === undefined || word === undefined || what === undefined) continue;
    const line = { at: Number(at), word: word as TrailWord, what };
    lines.push(dueAt === undefined ? line : { ...line, dueAt: Number(dueAt) });
  }
  return lines;
}
