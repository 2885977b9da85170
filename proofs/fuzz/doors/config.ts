import { mkdtempSync, readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { parse } from 'yaml';
import { adapters } from '../../../adapters/index.ts';
import { ConfigError, formatProblems } from '../../../src/config/explain/problem.ts';
import { loadConfig } from '../../../src/config/load-config.ts';
import { AdapterLoadError, adapterLoader } from '../../../src/plug-in/adapter-loader.ts';
import { anyCharacter, bytesOf, type Door, demand, textOf } from '../door.ts';

const secret = 'hunter2-hunter2';
const example = new URL('../../../config.yaml', import.meta.url);

const everything = `instance: one
google: { endpoint: https://chromemanagement.googleapis.com, credentials: { file: ./config.yaml } }
pubsub: { subscription: projects/my-project/subscriptions/worker }
journal: { kind: postgres, url: { env: DATABASE_URL }, leaseSeconds: 30 }
authorities:
  ca: &ca
    kind: exec
    options: { command: [sign], env: { TOKEN: { env: TOKEN } }, timeoutSeconds: 5 }
    mayDrop: [dns]
    concurrency: 3
  other: *ca
profiles:
  p: { subject: "CN=\${USER_EMAIL}", subjectAltNames: [{ type: upn, value: "\${USER_EMAIL}" }] }
scepProfiles: { validityDays: 30 }
unmatched: ignore
limits: { visits: 10, drainSeconds: 5 }
server: { host: 0.0.0.0, port: 8470 }
log: { level: warn }
`;

const load = adapterLoader(adapters);

/** The configuration is an administrator's, and half written more often than not. */
export function config(): Door {
  const directory = mkdtempSync(join(tmpdir(), 'certprov-fuzz-'));
  const file = join(directory, 'config.yaml');
  // What a library says past us may quote the file.
  const warned: string[] = [];
  const { emitWarning } = process;
  process.emitWarning = (warning) => void warned.push(String(warning));
  return {
    name: 'config',
    form: 'text',
    seeds: [readFileSync(example), bytesOf(everything)],
    dictionary: [
      '&a ',
      '*a',
      '<<: *a',
      '!!binary ',
      '!!js/function ',
      '--- \n',
      '? ',
      '|\n',
      '{',
      '[',
      '\t',
      '__proto__: ',
      'constructor: ',
      '{ env: TOKEN }',
      '{ file: /dev/null }',
      '"\\ud800"',
      '1e999',
      '0x10',
      '.inf',
      '~',
      '%YAML 1.1\n',
      '{ a: b }: ',
    ],
    generated: fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.json().map(bytesOf),
      fc.string({ unit: anyCharacter }).map(bytesOf),
    ),
    async enter(input) {
      await writeFile(file, input);
      try {
        const { authorities, profiles } = await loadConfig(file, {
          // Only what is built in: an import by a made-up name would run whatever has that name.
          loadAdapter: async (kind, base) => {
            if (Object.hasOwn(adapters, kind)) return load(kind, base);
            throw new AdapterLoadError(`kind ${kind} is not known.`);
          },
          env: { TOKEN: secret, DATABASE_URL: `postgres://user:${secret}@host/db` },
        });
        demand(warned.length === 0, `a warning: ${warned.pop()}`);
        demand(authorities instanceof Map && profiles instanceof Map, 'the maps are no maps');
        return `${authorities.size} authorities, ${profiles.size} profiles`;
      } catch (error) {
        demand(warned.length === 0, `a warning: ${warned.pop()}`);
        if (error instanceof ConfigError) checkProblems(error);
        throw error;
      }
    },
    isRefusal: (error) => error instanceof ConfigError,
    async close() {
      process.emitWarning = emitWarning;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** One error for all of them: ways to be no JSON are nothing to learn from. */
const noJson = new Error('The input is no JSON.');

function isJson(input: Uint8Array): boolean {
  try {
    JSON.parse(textOf(input));
    return true;
  } catch {
    return false; // Which is the answer.
  }
}

/**
 * The same door for files that YAML can read, so that what is tried gets as far as the options. JSON is YAML, and
 * can be changed value by value; what is no JSON any more is not tried.
 */
export function configValues(): Door {
  const { enter, isRefusal, close, dictionary } = config();
  return {
    name: 'config-values',
    form: 'json',
    seeds: [everything, readFileSync(example, 'utf8')].map((text) =>
      bytesOf(JSON.stringify(parse(text))),
    ),
    dictionary,
    enter(input) {
      if (!isJson(input)) throw noJson;
      return enter(input);
    },
    isRefusal: (error) => error === noJson || isRefusal(error),
    ...(close === undefined ? {} : { close }),
  };
}

/** Every problem has a place and a fix, is one line, and tells no secret. */
function checkProblems(error: ConfigError): void {
  demand(error.problems.length > 0, 'an error without a problem');
  for (const { line, column, message, fix } of error.problems) {
    demand(line >= 1 && column >= 1, `a problem at ${line}:${column}`);
    demand(message !== '' && fix !== '', 'a problem without words');
    demand(!/[\r\n]/.test(message + fix), 'a problem of several lines');
  }
  demand(!formatProblems(error).includes(secret), 'a secret is told');
}
