import { fstatSync, writeSync } from 'node:fs';
import type { Writable } from 'node:stream';

/*
 * Where the log goes: standard output, which somebody else reads. A line is handed over at once, so nothing that an
 * instance said before it was killed is lost; where the output is a pipe or a socket, Node does that without waiting.
 * When the reader stalls, lines are kept up to a bound, and then dropped and counted: the service goes on. If the
 * output is a file and its disk is full, lines are dropped until there is room again.
 */

/** Some thousand lines. */
const mostBytesKept = 1024 * 1024;

export interface LogOutput {
  write(line: string): void;
  /** Resolves when everything is handed over, or after this time. */
  flushed(withinMs: number): Promise<void>;
}

export function logOutput(): LogOutput {
  return isFile(process.stdout.fd) ? fileOutput(process.stdout.fd) : streamOutput(process.stdout);
}

function isFile(file: number): boolean {
  try {
    return fstatSync(file).isFile();
  } catch {
    return false; // It was closed before the start.
  }
}

/** Node writes to files without a thread, too, but never again after an error. */
export function fileOutput(file: number): LogOutput {
  let dropped = 0;
  let isTorn = false;
  const put = (text: string) => {
    const bytes = Buffer.from(isTorn ? `\n${text}` : text);
    for (let at = 0; at < bytes.length; ) {
      at += writeSync(file, bytes, at);
      isTorn = at < bytes.length;
    }
  };
  return {
    write(line) {
      try {
        if (dropped > 0) put(lossLine(dropped));
        dropped = 0;
        put(line);
      } catch {
        dropped += 1; // Told as soon as anything can be.
      }
    },
    flushed: () => Promise.resolve(),
  };
}

export function streamOutput(stream: Writable, mostKept = mostBytesKept): LogOutput {
  let dropped = 0;
  let broken = false;
  // The reader has gone: there is nobody to tell.
  stream.on('error', () => {
    broken = true;
  });
  return {
    write(line) {
      // After a loss nothing goes out before there is room for more than a line or two.
      const limit = dropped === 0 ? mostKept : mostKept / 2;
      if (broken || stream.writableLength > limit) {
        dropped += 1;
        return;
      }
      if (dropped > 0) stream.write(lossLine(dropped));
      dropped = 0;
      stream.write(line);
    },
    async flushed(withinMs) {
      if (broken || stream.writableLength === 0) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      const late = setTimeout(resolve, withinMs);
      stream.write(dropped > 0 ? lossLine(dropped) : '', () => resolve());
      await promise;
      clearTimeout(late);
    },
  };
}

function lossLine(lines: number): string {
  return `${JSON.stringify({
    level: 'warn',
    time: new Date().toISOString(),
    event: 'log',
    lines,
    msg: `${lines} lines of the log were dropped here: whoever reads it did not keep up, or its disk was full`,
  })}\n`;
}
