import { masked } from './breach.ts';
import type { Verdict } from './run-case.ts';

const words = { passed: 'PASS', failed: 'FAIL', 'not supported': 'NOT SUPPORTED' } as const;
const column = Math.max(...Object.values(words).map(({ length }) => length)) + 2;

/** One row of the table, with what there is to say about it below. Ends with a line break. */
export function rowText(name: string, verdict: Verdict, secrets: readonly string[]): string {
  const lines = [`${words[verdict.kind].padEnd(column)}${name}`];
  if (verdict.kind === 'not supported') lines.push(`${indent}${verdict.reason}`);
  if (verdict.kind === 'failed') {
    for (const { expected, came, mend } of verdict.breaches) {
      lines.push(`${indent}Expected: ${expected}`, `${indent}Came: ${came}`);
      lines.push(`${indent}To mend it: ${mend}`);
    }
  }
  return `${masked(lines.join('\n'), secrets)}\n`;
}

const indent = ' '.repeat(column);

export function tallyText(verdicts: readonly Verdict[]): string {
  const count = (wanted: Verdict['kind']) => verdicts.filter(({ kind }) => kind === wanted).length;
  return `${count('passed')} passed, ${count('failed')} failed, ${count('not supported')} not supported`;
}
