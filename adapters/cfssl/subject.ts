import { attributeType } from '../../src/x509/attribute-types.ts';
import type { DistinguishedName } from '../../src/x509/distinguished-name.ts';

/** What cfssl can say of a subject (signer/signer.go, Subject; csr/csr.go, Name). */
const inNames = new Set(['C', 'ST', 'L', 'O', 'OU']);

/**
 * A subject in cfssl's JSON. Attributes that it has no place for come from the CSR, or not at all.
 */
export function subjectJson(name: DistinguishedName): Record<string, unknown> {
  const names: Record<string, string>[] = [];
  const single: Record<string, string> = {};
  for (const { type, value } of name.flat()) {
    const keyword = attributeType(type)?.keyword ?? type;
    if (keyword === 'CN') single['CN'] = value;
    else if (keyword === 'serialNumber') single['serialnumber'] = value;
    else if (inNames.has(keyword)) names.push({ [keyword]: value });
  }
  return { ...single, names };
}
