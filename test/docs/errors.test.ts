import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { errorTable } from '../../src/error-table.ts';
import { deviceTextOf, type ErrorCode, isErrorCode } from '../../src/errors.ts';
import { replaceGenerated } from '../../tools/describe-config.ts';
import { describeErrors } from '../../tools/describe-errors.ts';

const file = `${import.meta.dirname}/../../docs/run/errors.md`;
const codes = Object.keys(errorTable) as ErrorCode[];

describe('docs/run/errors.md', () => {
  it('is the table that the code acts by (npm test -- test/docs -u writes it anew)', async () => {
    const written = readFileSync(file, 'utf8');
    const current = replaceGenerated(written, describeErrors(errorTable));
    await expect(current).toMatchFileSnapshot(file);
  });

  it('names no code that does not exist', () => {
    const rows = readFileSync(file, 'utf8').matchAll(/^\| `([a-z]+-[a-z-]+)` \|/gm);
    expect([...rows].map(([, code]) => code).filter((code) => !isErrorCode(code ?? ''))).toEqual(
      [],
    );
  });
});

describe('device texts', () => {
  it.each(codes)('are short and carry the code: %s', (code) => {
    const text = deviceTextOf(code);
    expect(text).toContain(`(${code})`);
    expect(text.length).toBeLessThanOrEqual(160);
  });

  it('say nothing about the insides of a CA', () => {
    for (const code of codes) {
      expect(errorTable[code].deviceText).not.toMatch(/https?:|SCEP|LDAP|template|mayDrop|config/i);
    }
  });
});
