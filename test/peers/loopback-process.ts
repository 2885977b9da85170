import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleepFor } from 'node:timers/promises';
import type { AdapterHarness, NotSupported } from '../../src/conformance/harness.ts';

const startTimeoutMs = 20_000;

export interface LoopbackProcess extends AsyncDisposable {
  /** The end of what it wrote. */
  output(): string;
  /** It stops answering, with its connections open. */
  freeze(): void;
}

/** Starts a server and waits until it accepts connections; it goes with us whatever happens. */
export async function startProcess(
  program: string,
  words: readonly string[],
  options: {
    readonly ports: readonly number[];
    readonly directory: string;
    readonly env?: Readonly<Record<string, string>>;
  },
): Promise<LoopbackProcess> {
  const child = spawn(program, words, {
    cwd: options.directory,
    env: { PATH: process.env['PATH'], HOME: options.directory, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString('utf8')).slice(-20_000);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const kill = () => {
    child.kill('SIGKILL');
  };
  process.once('exit', kill);
  const stop = async () => {
    process.off('exit', kill);
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    kill();
    await exited;
  };
  try {
    await once(child, 'spawn');
    for (const port of options.ports) await untilListening(port, child, () => output);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    output: () => output,
    freeze: () => {
      child.kill('SIGSTOP');
    },
    [Symbol.asyncDispose]: stop,
  };
}

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

async function untilListening(port: number, child: ChildProcess, output: () => string) {
  for (const until = Date.now() + startTimeoutMs; ; await sleepFor(20)) {
    if (await isListening(port)) return;
    if (child.exitCode !== null || Date.now() > until) {
      throw new Error(`The server does not listen on ${port}: ${output()}`);
    }
  }
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false; // Not yet.
  } finally {
    socket.destroy();
  }
}
