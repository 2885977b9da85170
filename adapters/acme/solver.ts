import { ProvisioningError } from '../../src/errors.ts';
import type { Command, CommandRunner } from '../shared/run-command.ts';
import { serverWords } from '../shared/server-words.ts';
import { serveChallenge } from './challenge-listener.ts';

/** One way to show that a name is ours. */
export interface Solver {
  readonly type: 'http-01' | 'dns-01';
  /**
   * Makes the answer visible until the result is disposed of.
   *
   * @param answer the key authorization; for dns-01 the text of the record.
   */
  present(
    challenge: { readonly name: string; readonly token: string; readonly answer: string },
    signal: AbortSignal,
  ): Promise<AsyncDisposable>;
}

export function httpSolver(place: { readonly host: string; readonly port: number }): Solver {
  return {
    type: 'http-01',
    async present({ token, answer }) {
      const served = await serveChallenge(place, token, answer);
      return {
        async [Symbol.asyncDispose]() {
          served[Symbol.dispose]();
        },
      };
    },
  };
}

/** dns-01 (RFC 8555 8.4) by a command that is run with `set NAME VALUE`, and later with `unset NAME VALUE`. */
export function dnsSolver(hook: Omit<Command, 'input'>, runner: CommandRunner): Solver {
  const run = async (verb: 'set' | 'unset', name: string, value: string, signal: AbortSignal) => {
    const { exitCode, stderr } = await runner.run(
      { ...hook, arguments: [...hook.arguments, verb, name, value], input: '' },
      signal,
    );
    if (exitCode === 0) return;
    throw new ProvisioningError(
      'ca-unavailable',
      `${hook.program} ${verb} ended with status ${exitCode}: ${serverWords(stderr.slice(-500))}`,
    );
  };
  return {
    type: 'dns-01',
    async present({ name, answer }, signal) {
      const record = `_acme-challenge.${name}`;
      await run('set', record, answer, signal);
      return {
        async [Symbol.asyncDispose]() {
          // A record that stays behind proves nothing to anybody, and must not hide how the order went.
          await run('unset', record, answer, new AbortController().signal).catch(() => undefined);
        },
      };
    },
  };
}
