import { describe, expect, it } from 'vitest';
import type { SubjectAltName } from '../../src/x509/alt-name-form.ts';
import { altNameProblem } from '../../src/x509/alt-name-form.ts';

type Case = [SubjectAltName['type'], string];

describe('names of the right form', () => {
  it.each<Case>([
    ['dns', 'a'],
    ['dns', 'device-1.example.com'],
    ['dns', `${'a'.repeat(63)}.example`],
    ['email', "o'brien+x@example.com"],
    ['upn', 'user@corp.example'],
    ['upn', 'müller@corp'],
    ['uri', 'tag:microsoft.com,2022-09-14:sid:S-1-5-21-1-2-3'],
    ['uri', 'https://[::1]/a?b=%20#c'],
    ['uri', 'urn:uuid:1'],
  ])('%s %s', (type, value) => {
    expect(altNameProblem({ type, value })).toBeUndefined();
  });
});

describe('names of the wrong form', () => {
  it.each<Case>([
    ['dns', ''],
    ['dns', 'a..b'],
    ['dns', 'a.'],
    ['dns', '-a'],
    ['dns', '*.example.com'],
    ['dns', 'a b'],
    ['dns', 'a_b'],
    ['dns', 'bücher.example'],
    ['dns', 'a\0b'],
    ['dns', `${'a'.repeat(64)}.example`],
    ['dns', 'a.'.repeat(127)],
    ['email', 'a'],
    ['email', '@b'],
    ['email', 'a@'],
    ['email', 'a@b@c'],
    ['email', 'a b@c'],
    ['email', 'a@b\nBcc: c@d'],
    ['email', '.a@b'],
    ['email', `${'a'.repeat(65)}@b`],
    ['upn', 'user'],
    ['upn', 'a@b@c'],
    ['upn', 'a b@c'],
    ['upn', 'a@b\u2028'],
    ['upn', '\ud800@b'],
    ['upn', `${'a'.repeat(260)}@b`],
    ['uri', 'example'],
    ['uri', 'a:'],
    ['uri', 'a: b'],
    ['uri', 'a:%zz'],
    ['uri', 'a:ä'],
    ['uri', `a:${'b'.repeat(2048)}`],
  ])('%s %j', (type, value) => {
    expect(altNameProblem({ type, value })).toBeTypeOf('string');
  });
});
