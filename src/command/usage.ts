/*
 * What the command line says of itself: each command with its options, once for all and once for each.
 */

interface CommandText {
  readonly does: string;
  /** What follows its name. */
  readonly argument?: string;
  /** How each of its options is written, and what it means. */
  readonly options: Readonly<Record<string, readonly [value: string, meaning: string]>>;
}

const config = { config: ['FILE', 'the configuration (default: config.yaml)'] } as const;

export const commandTexts = {
  serve: {
    does: 'take notifications and provision certificates until SIGTERM or SIGINT',
    options: config,
  },
  'check-config': {
    does: 'report every problem of the configuration, without using the network',
    options: config,
  },
  backup: {
    does: 'copy the SQLite journal and local CAs into one archive (tar), also while the service runs',
    argument: 'FILE',
    options: config,
  },
  conformance: {
    does: "run the adapters' contract over one kind of CA; orders real certificates from it",
    options: {
      kind: ['KIND', 'a built-in kind, a path (./my-ca.ts), or an installed package'],
      options: ['FILE', 'YAML with the options of that kind; secrets and paths start at this file'],
      roots: ['FILE', "PEM with the CA's root certificates, to which issued ones must chain"],
      harness: [
        'FILE',
        'a module that sets up a CA and makes it misbehave (docs/develop/adapters.md)',
      ],
      subject: [
        'NAME',
        'the subject to ask for (CN=a.example.org,O=Example), in place of the usual names',
      ],
      'alt-names': [
        'NAMES',
        'alternative names to ask for (dns:a.example.org,email:a@example.org)',
      ],
      only: ['TEXT', 'only the cases whose name has this text'],
      timeout: ['SECONDS', 'how long each case may take (default: 60)'],
    },
  },
} as const satisfies Record<string, CommandText>;

export type CommandName = keyof typeof commandTexts;
export type OptionName = {
  [Name in CommandName]: keyof (typeof commandTexts)[Name]['options'];
}[CommandName];

/** As it was started: from the sources, or as the package's command. */
const program = import.meta.filename.endsWith('.ts') ? 'npm run certprov --' : 'certprov';

const names = Object.keys(commandTexts) as CommandName[];
const column = Math.max(...names.map(({ length }) => length)) + 4;

const row = (name: string, meaning: string, width: number) => `  ${name.padEnd(width)}${meaning}\n`;

function optionRows(name: CommandName): string {
  const entries: [string, readonly [string, string]][] = Object.entries(commandTexts[name].options);
  const written = entries.map(([option, [value, meaning]]) => [`--${option} ${value}`, meaning]);
  const width = Math.max(...written.map(([option = '']) => option.length)) + 2;
  return written.map(([option = '', meaning = '']) => row(option, meaning, width)).join('');
}

/** All commands, and how to ask after one. */
export const usage = `Usage: ${program} <command> [options]

Commands
${names.map((name) => row(name, commandTexts[name].does, column)).join('')}
  <command> --help   the options of one command
  --version          the version, and that of Node
  --help             this text
`;

/** One command with its options. */
export function usageOf(name: CommandName): string {
  const argument = argumentOf(name) ?? '';
  return `Usage: ${program} ${name} ${argument === '' ? '' : `${argument} `}[options]

${sentence(commandTexts[name].does)}

${optionRows(name)}`;
}

/** What follows the command's name; undefined where nothing does. */
export function argumentOf(name: CommandName): string | undefined {
  const text: CommandText = commandTexts[name];
  return text.argument;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
