import type { ErrorCode } from 'yaml';

export interface YamlExplanation {
  readonly message: string;
  readonly fix: string;
  /** What comes after this place may have been read wrongly. */
  readonly breaks: boolean;
}

/**
 * What YAML found wrong, in our own words: the parser's may quote the line, and a secret may stand in it.
 * `key` is the last key of the place.
 */
export function explainYamlError(
  code: ErrorCode | 'PROTO_KEY',
  key: PropertyKey | undefined,
): YamlExplanation {
  switch (code) {
    case 'PROTO_KEY':
      return { message: 'cannot be used as a name', fix: 'choose another one', breaks: false };
    case 'DUPLICATE_KEY':
      return {
        message: `the key ${JSON.stringify(String(key))} stands twice in the same place`,
        fix: 'keep one of the two',
        breaks: false,
      };
    case 'MULTIPLE_DOCS':
      return {
        message: 'the file holds more than one YAML document',
        fix: 'remove the line --- and what does not belong to the configuration',
        breaks: false,
      };
    case 'TAG_RESOLVE_FAILED':
      return {
        message: 'YAML tags (!name) are not used here',
        fix: 'remove the tag',
        breaks: false,
      };
    default: {
      const [what, fix] = syntax[code] ?? syntax.OTHER;
      return { message: `the YAML cannot be read: ${what}`, fix, breaks: true };
    }
  }
}

const syntax: Partial<Record<ErrorCode, readonly [string, string]>> & {
  readonly OTHER: readonly [string, string];
} = {
  TAB_AS_INDENT: ['tabs are not allowed for indentation', 'indent with spaces'],
  BAD_INDENT: [
    'the indentation does not fit what stands around it',
    'give keys of one group the same indentation, deeper than their parent',
  ],
  MISSING_CHAR: [
    'a quote, bracket, comma or colon is missing',
    'add it; the line in question may be an earlier one',
  ],
  BAD_DQ_ESCAPE: [
    'a backslash in double quotes begins no known escape',
    'write the text in single quotes',
  ],
  BLOCK_AS_IMPLICIT_KEY: [
    'a second colon stands in the line',
    'put the value in quotes, or the inner key on a line of its own',
  ],
  BAD_SCALAR_START: ['a value begins with a character it cannot begin with', 'put it in quotes'],
  BAD_ALIAS: ['an alias (*name) is not complete', 'put a value that begins with * in quotes'],
  OTHER: [
    'something stands here that does not fit',
    'correct the line, or the one before it: indentation, a colon followed by a space, quotes around special characters',
  ],
};
