import type { z } from 'zod';
import { nearestName } from '../words/nearest-name.ts';
import type { ConfigDocument, Path } from './document.ts';
import type { ConfigProblem } from './problem.ts';
import { descriptionAt, findKey, type Schema, schemasAt } from './schema-path.ts';

/** Where the issues come from: a schema, and the place in the file where its data stand. */
export interface IssueSource {
  readonly document: ConfigDocument;
  readonly schema: Schema;
  readonly data: unknown;
  /** The path of `data` in the file. */
  readonly prefix: Path;
}

export const missingMessage = 'is missing';

/** Says in plain words what zod found, with a fix for each. No value of the file is repeated. */
export function explainIssues(
  issues: readonly z.core.$ZodIssue[],
  source: IssueSource,
): ConfigProblem[] {
  return issues.flatMap((issue) => explainIssue(issue, issue.path, source));
}

function explainIssue(issue: z.core.$ZodIssue, path: Path, source: IssueSource): ConfigProblem[] {
  const problem = (message: string, fix: string, at: Path = path) =>
    source.document.problem([...source.prefix, ...at], message, fix);
  const describing = descriptionAt(source.schema, path);
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => {
        const { message, fix } = unknownKey(key, path, source);
        return problem(message, fix, [...path, key]);
      });
    case 'invalid_type': {
      const value = valueAt(source.data, path);
      if (value === undefined) return [missing(path, describing, problem)];
      return [
        problem(
          `must be ${nounOf(issue.expected)}, but is ${nounOfValue(value)}`,
          typeFix(issue.expected, value),
        ),
      ];
    }
    case 'invalid_value': {
      if (valueAt(source.data, path) === undefined) return [missing(path, describing, problem)];
      return [wrongChoice(issue.values.map(String), path, source, problem)];
    }
    case 'invalid_union':
      return explainUnion(issue, path, source, problem);
    case 'too_small':
    case 'too_big':
      return [problem(limitText(issue), `choose another value. ${describing}`)];
    case 'invalid_key':
    case 'invalid_element':
      return issue.issues.map((inner) => problem(inner.message, 'choose another name'));
    default:
      return [problem(lowerFirst(issue.message), `correct it. ${describing}`)];
  }
}

type Report = (message: string, fix: string, at?: Path) => ConfigProblem;

function missing(path: Path, describing: string, problem: Report): ConfigProblem {
  return problem(missingMessage, `add ${String(path.at(-1) ?? 'the keys')}. ${describing}`);
}

function wrongChoice(
  values: readonly string[],
  path: Path,
  source: IssueSource,
  problem: Report,
): ConfigProblem {
  const value = valueAt(source.data, path);
  // A map has no text to be near to; one with a key toString cannot even be asked for it.
  const near = typeof value === 'object' ? undefined : nearestName(String(value), values);
  return problem(
    `must be one of ${values.join(', ')}`,
    near === undefined
      ? `write one of them. ${descriptionAt(source.schema, path)}`
      : `write ${near}`,
  );
}

function explainUnion(
  issue: z.core.$ZodIssueInvalidUnion,
  path: Path,
  source: IssueSource,
  problem: Report,
): ConfigProblem[] {
  if (valueAt(source.data, path) === undefined) {
    return [missing(path, descriptionAt(source.schema, path), problem)];
  }
  if ('options' in issue && Array.isArray(issue.options)) {
    return [wrongChoice(issue.options.map(String), path, source, problem)];
  }
  if (issue.message !== 'Invalid input') {
    return [problem(issue.message, `correct it. ${descriptionAt(source.schema, path)}`)];
  }
  // The branch that was meant is the one whose outer type fits: its complaints lie deeper.
  const meant = issue.errors.find((branch) =>
    branch.every((inner) => inner.path.length > 0 || inner.code === 'unrecognized_keys'),
  );
  if (meant !== undefined) {
    return meant.flatMap((inner) => explainIssue(inner, [...path, ...inner.path], source));
  }
  return [
    problem(
      'has none of the forms that are allowed here',
      `correct it. ${descriptionAt(source.schema, path)}`,
    ),
  ];
}

function unknownKey(
  key: string,
  path: Path,
  source: IssueSource,
): { message: string; fix: string } {
  const known = schemasAt(source.schema, path).flatMap((schema) =>
    Object.keys(schema.properties ?? {}),
  );
  const near = nearestName(key, known);
  if (near !== undefined) {
    return { message: 'is not a known key', fix: `write ${near}, the nearest known key` };
  }
  const elsewhere = findKey(source.schema, key);
  if (elsewhere !== undefined) {
    return {
      message: 'is not a known key here',
      fix: `move it: this key stands under ${[...source.prefix, ...elsewhere].join('.')}`,
    };
  }
  return {
    message: 'is not a known key',
    fix: known.length === 0 ? 'remove it' : `remove it; known here are ${known.join(', ')}`,
  };
}

/** What stands at a path in plain data; undefined where there is nothing. */
function valueAt(data: unknown, path: Path): unknown {
  let value = data;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

const nouns: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a group of keys',
  record: 'a group of keys',
  array: 'a list',
};

function nounOf(type: string): string {
  return nouns[type] ?? `of type ${type}`;
}

function nounOfValue(value: unknown): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return nounOf('array');
  if (typeof value === 'number' && !Number.isInteger(value)) return 'a number with a fraction';
  return nounOf(typeof value);
}

function typeFix(expected: string, value: unknown): string {
  if (['object', 'record'].includes(expected)) {
    return 'write its keys below it, each on its own line and indented';
  }
  if (expected === 'array')
    return 'write a list: [ first, second ], or one line each starting with -';
  if (['number', 'int'].includes(expected)) {
    return typeof value === 'string'
      ? 'write the number, without quotes or a unit'
      : 'write a number';
  }
  if (expected === 'boolean') return 'write true or false, without quotes';
  return ['number', 'boolean'].includes(typeof value) ? 'put the value in quotes' : 'write a text';
}

function limitText(issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig): string {
  const small = issue.code === 'too_small';
  const limit = String(small ? issue.minimum : issue.maximum);
  if (issue.origin === 'string') {
    if (small && limit === '1') return 'must not be empty';
    return `must have ${small ? 'at least' : 'at most'} ${limit} characters`;
  }
  if (issue.origin === 'array') {
    if (small && limit === '1') return 'must have at least one entry';
    return `must have ${small ? 'at least' : 'at most'} ${limit} entries`;
  }
  if (small) return `must be ${issue.inclusive ? 'at least' : 'more than'} ${limit}`;
  return `must be ${issue.inclusive ? 'at most' : 'less than'} ${limit}`;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
