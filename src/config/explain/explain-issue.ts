import type { z } from 'zod';
import { nearestName } from '../../words/nearest-name.ts';
import type { Path } from './document.ts';
import { descriptionAt, findKey, type Schema, schemasAt } from './schema-path.ts';

/** What is wrong at a path of the file, and how to mend it. */
export type Finding = readonly [path: Path, message: string, fix: string];

/** Where the issues come from: a schema, and the data in which it found them. */
export interface IssueSource {
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
): readonly Finding[] {
  return issues.flatMap((issue) =>
    explainIssue(issue, issue.path, source).map(
      ([path, ...words]): Finding => [[...source.prefix, ...path], ...words],
    ),
  );
}

/** The paths of the findings start at the data, as `path` does. */
function explainIssue(
  issue: z.core.$ZodIssue,
  path: Path,
  source: IssueSource,
): readonly Finding[] {
  const describing = descriptionAt(source.schema, path);
  const value = valueAt(source.data, path);
  const needsValue = ['invalid_type', 'invalid_value', 'invalid_union'].includes(issue.code);
  if (needsValue && value === undefined) {
    return [[path, missingMessage, `add ${String(path.at(-1) ?? 'the keys')}. ${describing}`]];
  }
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => [[...path, key], ...unknownKey(key, path, source)]);
    case 'invalid_type':
      return [[path, ...wrongType(issue.expected, value)]];
    case 'invalid_value':
      return [[path, ...wrongChoice(value, issue.values, describing)]];
    case 'invalid_union':
      if ('options' in issue && Array.isArray(issue.options)) {
        return [[path, ...wrongChoice(value, issue.options, describing)]];
      }
      if (issue.message !== 'Invalid input') break;
      return explainBranches(issue.errors, path, source);
    case 'invalid_key':
    case 'invalid_element':
      return issue.issues.map((inner) => [path, limitText(inner), 'choose another name']);
    case 'too_small':
    case 'too_big':
      return [[path, limitText(issue), `choose another value. ${describing}`]];
    default:
  }
  return [[path, lowerFirst(issue.message), `correct it. ${describing}`]];
}

/** The branch of a union that was meant is the one whose outer type fits: its complaints lie deeper. */
function explainBranches(
  branches: readonly (readonly z.core.$ZodIssue[])[],
  path: Path,
  source: IssueSource,
): readonly Finding[] {
  const meant = branches.find((issues) =>
    issues.every((issue) => issue.path.length > 0 || issue.code === 'unrecognized_keys'),
  );
  if (meant !== undefined) {
    return meant.flatMap((issue) => explainIssue(issue, [...path, ...issue.path], source));
  }
  const fix = `correct it. ${descriptionAt(source.schema, path)}`;
  return [[path, 'has none of the forms that are allowed here', fix]];
}

type Explanation = readonly [message: string, fix: string];

function wrongChoice(value: unknown, choices: readonly unknown[], describing: string): Explanation {
  const values = choices.map(String);
  // A map has no text to be near to; one with a key toString cannot even be asked for it.
  const near = typeof value === 'object' ? undefined : nearestName(String(value), values);
  return [`must be one of ${values.join(', ')}`, `write ${near ?? `one of them. ${describing}`}`];
}

function unknownKey(key: string, path: Path, source: IssueSource): Explanation {
  const known = schemasAt(source.schema, path).flatMap((schema) =>
    Object.keys(schema.properties ?? {}),
  );
  const near = nearestName(key, known);
  if (near !== undefined) return ['is not a known key', `write ${near}, the nearest known key`];
  const elsewhere = findKey(source.schema, key);
  if (elsewhere !== undefined) {
    const place = [...source.prefix, ...elsewhere].join('.');
    return ['is not a known key here', `move it: this key stands under ${place}`];
  }
  const others = known.length === 0 ? '' : `; known here are ${known.join(', ')}`;
  return ['is not a known key', `remove it${others}`];
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

function wrongType(expected: string, value: unknown): Explanation {
  return [`must be ${nounOf(expected)}, but is ${nounOfValue(value)}`, typeFix(expected, value)];
}

function typeFix(expected: string, value: unknown): string {
  switch (expected) {
    case 'object':
    case 'record':
      return 'write its keys below it, each on its own line and indented';
    case 'array':
      return 'write a list: [ first, second ], or one line each starting with -';
    case 'number':
    case 'int':
      if (typeof value !== 'string') return 'write a number';
      return 'write the number, without quotes or a unit';
    case 'boolean':
      return 'write true or false, without quotes';
    default:
      if (['number', 'boolean'].includes(typeof value)) return 'put the value in quotes';
      return 'write a text';
  }
}

const units: Readonly<Record<string, string>> = { string: 'characters', array: 'entries' };

/** How much is allowed. What says nothing about that is in its own words. */
function limitText(issue: z.core.$ZodIssue): string {
  const isSmall = issue.code === 'too_small';
  if (!isSmall && issue.code !== 'too_big') return issue.message;
  const { inclusive, origin } = issue;
  const limit = isSmall ? issue.minimum : issue.maximum;
  const unit = units[origin];
  if (unit === undefined) {
    const [least, most] = inclusive ? ['at least', 'at most'] : ['more than', 'less than'];
    return `must be ${isSmall ? least : most} ${limit}`;
  }
  if (!isSmall || Number(limit) !== 1) {
    return `must have ${isSmall ? 'at least' : 'at most'} ${limit} ${unit}`;
  }
  return origin === 'string' ? 'must not be empty' : 'must have at least one entry';
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
