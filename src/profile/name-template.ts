import { ProvisioningError } from '../errors.ts';
import type { Subject } from '../request/requested-certificate.ts';
import { nearestName } from '../words/nearest-name.ts';

/*
 * Templates of names: text with variables, `${A}`, or with fallbacks, `${A:B:C}`, the first that is not
 * empty. Values come only from Google's record of who asks.
 */

const valueIn = {
  DEVICE_SERIAL_NUMBER: (subject: Subject) => subject.serialNumber,
  DEVICE_DIRECTORY_ID: (subject: Subject) => subject.deviceDirectoryApiId,
  USER_EMAIL: emailOf,
  USER_EMAIL_NAME: (subject: Subject) => emailParts(subject)?.name,
  USER_EMAIL_DOMAIN: (subject: Subject) => emailParts(subject)?.domain,
  USER_DIRECTORY_ID: (subject: Subject) =>
    subject.kind === 'user' ? subject.userDirectoryApiId : undefined,
} as const;

type TemplateVariable = keyof typeof valueIn;

const templateVariables = Object.keys(valueIn) as readonly TemplateVariable[];

/** Characters of a template. */
const mostCharacters = 4096;

function emailOf(subject: Subject): string | undefined {
  return subject.kind === 'user' ? subject.userPrimaryEmail : undefined;
}

function emailParts(subject: Subject): { name: string; domain: string } | undefined {
  const email = emailOf(subject);
  const at = email?.lastIndexOf('@') ?? -1;
  if (email === undefined || at < 0) return undefined;
  return { name: email.slice(0, at), domain: email.slice(at + 1) };
}

function isVariable(name: string): name is TemplateVariable {
  return Object.hasOwn(valueIn, name);
}

/** A literal text, or the names inside one `${…}`. */
type Part = string | readonly string[];

function partsOf(template: string): readonly Part[] | { readonly problem: string } {
  if (template.length > mostCharacters) {
    return { problem: `It is longer than ${mostCharacters} characters.` };
  }
  const parts: Part[] = [];
  let at = 0;
  for (;;) {
    const open = template.indexOf('${', at);
    if (open < 0) {
      parts.push(template.slice(at));
      return parts;
    }
    const close = template.indexOf('}', open);
    if (close < 0) {
      return { problem: `The \${ at position ${open + 1} is not closed; add }.` };
    }
    parts.push(template.slice(at, open), template.slice(open + 2, close).split(':'));
    at = close + 1;
  }
}

/** What is wrong with the variables of a template, as a sentence for its author. */
export function templateProblem(template: string): string | undefined {
  const parts = partsOf(template);
  if ('problem' in parts) return parts.problem;
  for (const part of parts) {
    if (typeof part === 'string') continue;
    for (const name of part) {
      if (isVariable(name)) continue;
      const nearest = nearestName(name, templateVariables);
      const hint =
        nearest === undefined
          ? `Known are ${templateVariables.join(', ')}.`
          : `Is ${nearest} meant?`;
      return `“${name.slice(0, 64)}” is no variable. ${hint}`;
    }
  }
  return undefined;
}

/** Whether a template has any variable. */
export function hasVariables(template: string): boolean {
  return template.includes('${');
}

/**
 * Fills in a template.
 *
 * @param what names the template in errors.
 * @param escapeValue is applied to each value, not to the template's own text.
 * @throws {ProvisioningError} `name-empty` when no variable of a `${…}` has a value; `name-unresolved` when one of
 *   the variables is unknown; `name-invalid` when the template itself is broken.
 */
export function expandTemplate(
  template: string,
  subject: Subject,
  what: string,
  escapeValue: (value: string) => string = (value) => value,
): string {
  const parts = partsOf(template);
  if ('problem' in parts) {
    throw new ProvisioningError(
      'name-invalid',
      `The template of ${what} is broken. ${parts.problem}`,
    );
  }
  return parts
    .map((part) => {
      if (typeof part === 'string') return part;
      for (const name of part) {
        const value = isVariable(name) ? valueIn[name](subject) : undefined;
        if (value !== undefined && value.trim() !== '') return escapeValue(value);
      }
      throw withoutValue(part, subject, what);
    })
    .join('');
}

function withoutValue(names: readonly string[], subject: Subject, what: string): ProvisioningError {
  const placeholder = `\${${names.join(':')}}`.slice(0, 200);
  const unknown = names.find((name) => !isVariable(name));
  return unknown === undefined
    ? new ProvisioningError(
        'name-empty',
        `${what}: Google’s record of this ${subject.kind} has no value for ${placeholder}.`,
      )
    : new ProvisioningError(
        'name-unresolved',
        `${what}: ${placeholder} uses ${unknown.slice(0, 64)}, which is not in Google’s record of the process; known are ${templateVariables.join(', ')}.`,
      );
}
