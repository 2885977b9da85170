import { existsSync } from 'node:fs';
import { cp, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { adapters } from '../../adapters/index.ts';
import manifest from '../../package.json' with { type: 'json' };
import { commandTexts } from '../../src/command/usage.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { adapterLoader } from '../../src/plug-in/adapter-loader.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { makeCa } from '../support/test-certificates.ts';
import { commands } from './commands.ts';
import { root, snippets, texts } from './snippets.ts';

let home: Awaited<ReturnType<typeof temporaryDirectory>>;

beforeAll(async () => {
  home = await temporaryDirectory();
});
afterAll(() => home[Symbol.asyncDispose]());

/** What a page leaves out because it is about something else. */
const rest = {
  pubsub: { project: 'my-project', subscription: 'certprov' },
  authorities: { ca: { kind: 'local-ca' } },
  profiles: { device_profile: { subject: 'CN=${DEVICE_SERIAL_NUMBER}' } },
};

/** A whole configuration around a page's part of one. */
function whole(text: string): Record<string, unknown> {
  const filled = text.replace('A1:B2:…', Array(32).fill('A1').join(':')).replace('5f1c…', '5f1c');
  const part: Record<string, unknown> = parse(filled);
  // A page about one kind may show its options alone.
  if ('options' in part) return { ...rest, authorities: { ca: { kind: 'local-ca', ...part } } };
  return { ...rest, ...part };
}

const yaml = snippets.filter(({ language }) => language === 'yaml');

describe('every configuration that the documentation shows', () => {
  let certificate: string;

  beforeAll(async () => {
    certificate = encodePem('CERTIFICATE', (await makeCa()).der);
    await cp(join(root, 'examples/my-ca/my-ca.ts'), join(home.path, 'my-ca.ts'));
  });

  /** Makes each file that is named, wherever it would be, and gives the same text with the new names. */
  async function withFiles(text: string): Promise<string> {
    const named = text.matchAll(
      /(?:file|caFile|certFile|keyFile): ("?)([^\s"',}]+)\1|([\w./-]+\.pem)/g,
    );
    let moved = text;
    for (const [, , file, pem] of named) {
      const path = file ?? pem ?? '';
      const own = join(home.path, basename(path));
      const content = path.endsWith('.csv')
        ? 'anna@example.org,S-1-5-21-1-2-3-1001\n'
        : certificate;
      await writeFile(own, content);
      moved = moved.replaceAll(path, own);
    }
    return moved;
  }

  it('is found', () => {
    expect(yaml.length).toBeGreaterThan(12);
  });

  it.each(yaml.map(({ where, text }) => [where, text]))('is in order: %s', async (_where, text) => {
    const file = join(home.path, 'config.yaml');
    await writeFile(file, await withFiles(stringify(whole(text))));
    const env = new Proxy<Record<string, string>>({}, { get: () => 'postgres://u@127.0.0.1/x' });
    const config = await loadConfig(file, { loadAdapter: adapterLoader(adapters), env });
    expect(config.authorities.size).toBeGreaterThan(0);
  });
});

/** The commands of a block, each without its comment; a line that ends in \\ goes on. */
function lines(text: string): string[] {
  return text
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .map((line) =>
      line
        .replace(/\s+#.*$/, '')
        .replace(/\s*&&$/, '')
        .trim(),
    )
    .filter((line) => line !== '' && !line.startsWith('#'));
}

describe('every command that the documentation shows', () => {
  const shown = snippets
    .filter(({ language }) => language === 'sh')
    .flatMap(({ where, text }) => lines(text).map((line) => [where, line] as const));
  const known = Object.keys(commands);

  it.each(shown)('is run by a test, or it is said why not: %s %s', (_where, line) => {
    const command = known.find((one) => line.startsWith(one));
    expect(command, line).toBeDefined();
  });

  it.each(known)('has a proof that is there: %s', (command) => {
    expect(shown.some(([, line]) => line.startsWith(command))).toBe(true);
    const proof = commands[command] ?? { notRun: '' };
    if ('run' in proof) expect(existsSync(join(root, proof.run)), proof.run).toBe(true);
    else expect(proof.notRun).toMatch(/\w.*\.$/);
  });

  it('stands in a block that says what it is', () => {
    const unsaid = snippets.filter(
      ({ language, text }) =>
        language === '' && /^(npm|node|openssl|sqlite3|kubectl|\w+-util) /m.test(text),
    );
    expect(unsaid.map(({ where }) => where)).toEqual([]);
  });

  it('is one of package.json and of the command line, with options that it has', () => {
    const wrong: string[] = [];
    for (const [document, text] of texts) {
      for (const [said, script = '', args = ''] of text.matchAll(
        /npm run ([a-z:-]+)((?: [^`\n#|&]+)?)/g,
      )) {
        const [, command = script, options = ''] = /^ -- ([a-z-]+)(.*)/.exec(args) ?? [];
        const name = script === 'certprov' ? command : script;
        const isScript = Object.hasOwn(manifest.scripts, script);
        if (!isScript) wrong.push(`${document}: ${said}`);
        if (!isCommand(name)) continue;
        const has = Object.keys(commandTexts[name].options);
        const given = [...(options || args).matchAll(/ --([a-z]+)/g)].map(([, one = '']) => one);
        if (given.some((one) => !has.includes(one))) wrong.push(`${document}: ${said}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});

function isCommand(name: string): name is keyof typeof commandTexts {
  return Object.hasOwn(commandTexts, name);
}
