import { z } from 'zod';
import type { Finding } from './finding.ts';

/** SPDX identifiers of licences that ask for no more than their text and a notice. */
const allowed: ReadonlySet<string> = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC0-1.0',
  'ISC',
  'MIT',
  'MIT-0',
  'Unlicense',
  'Zlib',
]);

/** Of a CycloneDX bill of materials, what is read here. */
export const billSchema = z.looseObject({
  bomFormat: z.literal('CycloneDX'),
  metadata: z.looseObject({
    component: z.looseObject({ 'bom-ref': z.string(), name: z.string() }),
  }),
  components: z.array(
    z.looseObject({
      'bom-ref': z.string(),
      licenses: z
        .array(
          z.union([
            z.object({
              license: z.union([z.object({ id: z.string() }), z.object({ name: z.string() })]),
            }),
            z.object({ expression: z.string() }),
          ]),
        )
        .default([]),
    }),
  ),
  dependencies: z.array(z.object({ ref: z.string(), dependsOn: z.array(z.string()).default([]) })),
});

type Bill = z.output<typeof billSchema>;

/** The packages whose licence is not on the list, each with the way by which it came in. */
export function licenceFindings(bill: Bill): Finding[] {
  return bill.components.flatMap((component) => {
    const licences = component.licenses.map((entry) => {
      if ('expression' in entry) return entry.expression;
      return 'id' in entry.license ? entry.license.id : entry.license.name;
    });
    if (licences.length > 0 && licences.every(isAllowed)) return [];
    const said = licences.join(', ') || 'no licence';
    return {
      what: `${component['bom-ref']} has ${said} (${wayTo(component['bom-ref'], bill).join(' > ')})`,
      mend: 'do without it; or, when the licence asks for no more than its text and a notice, add it to tools/release-check/licences.ts',
    };
  });
}

/** An SPDX expression of one kind of operator; what is more entangled is for people. */
function isAllowed(expression: string): boolean {
  const terms = expression
    .replace(/[()]/g, ' ')
    .trim()
    .split(/\s+(AND|OR)\s+/);
  const operators = new Set(terms.filter((_, index) => index % 2 === 1));
  const names = terms.filter((_, index) => index % 2 === 0);
  if (operators.size > 1) return false;
  return operators.has('OR')
    ? names.some((name) => allowed.has(name))
    : names.every((name) => allowed.has(name));
}

function wayTo(ref: string, { dependencies, metadata }: Bill): string[] {
  const cameFrom = new Map<string, string>();
  const queue = [metadata.component['bom-ref']];
  for (const at of queue) {
    for (const next of dependencies.find((each) => each.ref === at)?.dependsOn ?? []) {
      if (cameFrom.has(next)) continue;
      cameFrom.set(next, at);
      queue.push(next);
    }
  }
  const way = [ref];
  for (let at = cameFrom.get(ref); at !== undefined; at = cameFrom.get(at)) way.unshift(at);
  return way;
}
