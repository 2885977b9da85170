import { scrub } from '../../words/scrub.ts';

/** One mistake in the configuration: where, what, and how to mend it. */
export interface ConfigProblem {
  /** The file as it was named on the command line. */
  readonly file: string;
  /** From 1; the key's own line, or its nearest parent's when the key is missing. */
  readonly line: number;
  readonly column: number;
  /** Like `authorities.default_ca_config.kind`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
  readonly fix: string;
}

/** The configuration cannot be used. It holds every problem that was found, in the file's order. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    const inOrder = problems.toSorted(
      (one, other) => one.line - other.line || one.column - other.column,
    );
    super(inOrder.map(formatProblem).join('\n'));
    this.problems = inOrder;
  }
}

/** One line a problem: `config.yaml:12:3 authorities.x.kind: what is wrong. Fix: what mends it.` */
export function formatProblems(error: ConfigError): string {
  return error.problems.map(formatProblem).join('\n');
}

function formatProblem(problem: ConfigProblem): string {
  const path = problem.path === '' ? '' : `${problem.path}: `;
  return `${problem.file}:${problem.line}:${problem.column} ${path}${sentence(problem.message)} Fix: ${sentence(problem.fix)}`;
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** Splits `what is wrong. Fix: what mends it.`; a text without a fix gets the given one. */
export function splitFix(text: string, otherwise: string): { message: string; fix: string } {
  const at = text.lastIndexOf('Fix:');
  if (at < 0) return { message: tidy(text), fix: tidy(otherwise) };
  const message = tidy(text.slice(0, at)).replace(/\.$/, '');
  return { message, fix: tidy(text.slice(at + 'Fix:'.length)) };
}

/** On one line, without secrets, and not endless. */
function tidy(text: string): string {
  const line = scrub(text)
    .replaceAll(/[\p{Cc}\s]+/gu, ' ')
    .trim();
  return line.length <= 600 ? line : `${line.slice(0, 600)}…`;
}
