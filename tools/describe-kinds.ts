import type { AuthorityFeatures, DroppablePart } from '../src/plug-in/certificate-authority.ts';
import type { KeyType } from '../src/request/requested-certificate.ts';

/*
 * Writes the table of docs/authorities/choosing-a-ca.md, and the short one of the README, from what the kinds of CA
 * declare. A test compares them; `npm test -- test/docs -u` writes the files anew.
 */

/** One kind, as it declares itself under all options that change what it declares. */
export interface KindFacts {
  readonly kind: string;
  /** What it declares, once for each set of options; at least one. */
  readonly declared: readonly AuthorityFeatures[];
  readonly concurrency: number;
  readonly requestsPerSecond: number | undefined;
  /** Real servers that its tests run against, with versions. Empty: a double of ours only. */
  readonly provenWith: readonly string[];
  /** What it talks to. */
  readonly speaksTo: string;
  /** What else to know before choosing it, in Markdown. */
  readonly note: string;
  /** The file name of its own page; undefined where it has none. */
  readonly page: string | undefined;
}

/** A Markdown table with a row for each kind: all that helps to choose one. */
export function describeKinds(kinds: readonly KindFacts[]): string {
  const rows = kinds.map((facts) => {
    const cells = [
      `\`${facts.kind}\``,
      repeatedOrder(facts.declared),
      each(facts.declared, ({ pending }) => yesOrNo(pending)),
      each(facts.declared, ({ revoke }) => yesOrNo(revoke)),
      keyTypes(facts.declared),
      dropped(facts.declared),
      `${facts.concurrency}${facts.requestsPerSecond === undefined ? '' : `, ${facts.requestsPerSecond} a second`}`,
      proof(facts),
      `${facts.note}${more(facts, '')}`,
    ];
    return `| ${cells.join(' | ')} |\n`;
  });
  return `${head}${rows.join('')}`;
}

/** The short table, for a document that finds the kinds' own pages in `directory`. */
export function summariseKinds(kinds: readonly KindFacts[], directory: string): string {
  const rows = kinds.map((facts) => {
    const cells = [
      `\`${facts.kind}\``,
      `${facts.speaksTo}${more(facts, directory)}`,
      inShort(repeatedSafely(facts.declared)),
      inShort(facts.declared.map(({ pending }) => yesOrNo(pending))),
      inShort(facts.declared.map(({ revoke }) => yesOrNo(revoke))),
      proof(facts),
    ];
    return `| ${cells.join(' | ')} |\n`;
  });
  return `${shortHead}${rows.join('')}`;
}

const head = `| kind | a repeated order gives | may wait | revokes | keys | leaves out | calls at once | proven with | what to know |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
`;

const shortHead = `| kind | speaks to | repeating an order is safe | may wait | revokes | proven with |
| --- | --- | --- | --- | --- | --- |
`;

function proof({ provenWith }: KindFacts): string {
  return provenWith.length === 0 ? 'a double' : provenWith.join(', ');
}

function more({ page }: KindFacts, directory: string): string {
  return page === undefined ? '' : ` ([more](${directory}${page}))`;
}

function repeatedSafely(declared: readonly AuthorityFeatures[]): readonly string[] {
  return declared.map(({ idempotent, findsEarlier }) => {
    if (idempotent) return 'yes';
    return findsEarlier === true ? 'looks first' : '–';
  });
}

/** One answer where all sets of options agree. */
function inShort(answers: readonly string[]): string {
  const different = [...new Set(answers)];
  return different.length === 1 ? different.join('') : 'by option';
}

function repeatedOrder(declared: readonly AuthorityFeatures[]): string {
  return each(declared, ({ idempotent, findsEarlier }) => {
    if (idempotent) return 'the same certificate';
    return findsEarlier === true ? 'the earlier one, if it is found' : 'perhaps a second one';
  });
}

function keyTypes(declared: readonly AuthorityFeatures[]): string {
  return each(declared, (features) => features.keyTypes.map((type) => keyNames[type]).join(', '));
}

const keyNames: Readonly<Record<KeyType, string>> = { rsa: 'RSA', ec: 'EC' };

/** What every set of options drops, and what only some do. */
function dropped(declared: readonly AuthorityFeatures[]): string {
  const isAlways = (part: DroppablePart) => declared.every(({ mayDrop }) => mayDrop.includes(part));
  const parts = [...new Set(declared.flatMap(({ mayDrop }) => mayDrop))];
  const shown = parts.map((part) => (isAlways(part) ? part : `${part} (by option)`));
  return shown.length === 0 ? '–' : shown.join(', ');
}

function yesOrNo(value: boolean): string {
  return value ? 'yes' : '–';
}

/** One answer where all sets of options agree, otherwise all of them. */
function each(
  declared: readonly AuthorityFeatures[],
  answer: (features: AuthorityFeatures) => string,
): string {
  const answers = [...new Set(declared.map(answer))];
  return answers.length === 1 ? answers.join('') : `by option: ${answers.join(' / ')}`;
}
