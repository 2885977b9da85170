import type { CsrNames } from '../src/request/requested-certificate.ts';
import type { SubjectAltName } from '../src/x509/alt-name-form.ts';
import { altNameProblem } from '../src/x509/alt-name-form.ts';
import { parseName } from '../src/x509/distinguished-name.ts';

const types = ['dns', 'email', 'upn', 'uri'] as const;

/**
 * The names of a request as they are written on a command line: all of them, so what is left out is not asked for.
 *
 * @param subject RFC 4514.
 * @param altNames `TYPE:VALUE`, several with commas between.
 * @throws {Error} whose message says what is wrong.
 */
export function readNames(subject = '', altNames = ''): CsrNames {
  const texts = altNames.split(',').map((text) => text.trim());
  const names = {
    subject: parseName(subject),
    subjectAltNames: texts.filter((text) => text !== '').map(readAltName),
  };
  if (names.subject.length > 0 || names.subjectAltNames.length > 0) return names;
  throw new Error('There is no name in them.');
}

function readAltName(text: string): SubjectAltName {
  const type = types.find((each) => text.startsWith(`${each}:`));
  if (type === undefined) {
    throw new Error(`"${text}" is not one of ${types.map((each) => `${each}:…`).join(', ')}.`);
  }
  const value = text.slice(type.length + 1);
  const problem = altNameProblem({ type, value });
  if (problem !== undefined) throw new Error(`"${text}" ${problem}.`);
  return { type, value };
}
