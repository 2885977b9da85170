import type { ErrorEntry } from '../src/error-table.ts';

/** The table of docs/run/errors.md, from the table that the code acts by. */
export function describeErrors(table: Readonly<Record<string, ErrorEntry>>): string {
  const rows = Object.entries(table).map(
    ([code, { disposition, deviceText, meaning }]) =>
      `| \`${code}\` | ${disposition} | ${cell(deviceText)} | ${cell(meaning)} |\n`,
  );
  return `| code | disposition | the device shows | meaning, and what mends it |\n| --- | --- | --- | --- |\n${rows.join('')}`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
