import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleepFor } from 'node:timers/promises';
import exec from '../../adapters/exec/exec.ts';
import { identityOf } from '../../adapters/shared/process-group.ts';
import type { AdapterHarness } from '../../conformance/harness.ts';
import { readCertificates } from '../../src/x509/pem.ts';
import { connectContext } from '../support/connect-context.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const scriptedCa = join(import.meta.dirname, 'commands/scripted-ca.mjs');
/** Where the service keeps it, too: the command compiles the same sources at each of its many starts. */
const compileCache = join(import.meta.dirname, '../../node_modules/.cache/certprov');

/** The kind `exec` over a command that keeps a local CA, and does as a script says. */
export async function execHarness(): Promise<AdapterHarness> {
  const directory = await temporaryDirectory();
  const token = 'correct-horse-battery-staple';
  const context = connectContext(directory.path, { env: { CA_TOKEN: token } });
  const command = [process.execPath, scriptedCa, directory.path];
  const options = exec.options.parse({
    command,
    checkCommand: [...command, 'check'],
    revokeCommand: [...command, 'revoke'],
    pollSeconds: 1,
    idempotent: true,
    env: { TOKEN: { env: 'CA_TOKEN' }, NODE_COMPILE_CACHE: compileCache },
  });
  const script = (...words: string[]) =>
    writeFile(join(directory.path, 'script'), words.join('\n'));
  const hanging = join(directory.path, 'hanging.json');
  return {
    connect: () => exec.connect(options, context, new AbortController().signal),
    hooks: {
      pendThenIssue: () => script('pend', 'still', 'serve'),
      pendThenReject: () => script('pend', 'reject'),
      reject: () => script('reject'),
      failOnce: () => script('fail'),
      answerGarbage: () => script('garbage'),
      answerSlowly: () => script('slow'),
      async hang() {
        await script('hang');
        return {
          async reached() {
            for (const until = Date.now() + 10_000; !existsSync(hanging); await sleepFor(10)) {
              if (Date.now() > until) throw new Error('The command did not come to hang.');
            }
          },
        };
      },
    },
    secrets: [token, 's3cret'],
    roots: async () => readCertificates(await readFile(join(directory.path, 'ca/root.pem'))),
    validityAsAsked: true,
    async leftovers() {
      if (!existsSync(hanging)) return [];
      const { pids, requestFile } = JSON.parse(await readFile(hanging, 'utf8'));
      const processes = pids.filter(isAlive).map((pid: number) => `process ${pid}`);
      return existsSync(requestFile) ? [...processes, requestFile] : processes;
    },
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}

/** A process that has ended and was not yet reaped is dead. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  return !existsSync('/proc/self/stat') || identityOf(pid).startedAt !== '';
}
