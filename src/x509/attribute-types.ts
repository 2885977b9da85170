import { tag } from './der.ts';

/** An attribute that names are made of. */
export interface AttributeType {
  readonly keyword: string;
  readonly oid: string;
  /** The string type it is encoded in. */
  readonly stringTag: number;
  /** The most characters: RFC 5280 appendix A.1, and X.520 for those that are not there. */
  readonly most: number;
}

function type(keyword: string, oid: string, most: number, stringTag: number): AttributeType {
  return { keyword, oid, most, stringTag };
}

const table: readonly AttributeType[] = [
  type('CN', '2.5.4.3', 64, tag.utf8String),
  type('SN', '2.5.4.4', 64, tag.utf8String),
  type('serialNumber', '2.5.4.5', 64, tag.printableString),
  type('C', '2.5.4.6', 2, tag.printableString),
  type('L', '2.5.4.7', 128, tag.utf8String),
  type('ST', '2.5.4.8', 128, tag.utf8String),
  type('STREET', '2.5.4.9', 128, tag.utf8String),
  type('O', '2.5.4.10', 64, tag.utf8String),
  type('OU', '2.5.4.11', 64, tag.utf8String),
  type('title', '2.5.4.12', 64, tag.utf8String),
  type('description', '2.5.4.13', 1024, tag.utf8String),
  type('businessCategory', '2.5.4.15', 128, tag.utf8String),
  type('postalCode', '2.5.4.17', 40, tag.utf8String),
  type('name', '2.5.4.41', 128, tag.utf8String),
  type('givenName', '2.5.4.42', 64, tag.utf8String),
  type('initials', '2.5.4.43', 64, tag.utf8String),
  type('generationQualifier', '2.5.4.44', 64, tag.utf8String),
  type('dnQualifier', '2.5.4.46', 64, tag.printableString),
  type('pseudonym', '2.5.4.65', 128, tag.utf8String),
  type('organizationIdentifier', '2.5.4.97', 256, tag.utf8String),
  type('UID', '0.9.2342.19200300.100.1.1', 256, tag.utf8String),
  type('DC', '0.9.2342.19200300.100.1.25', 63, tag.ia5String),
  type('emailAddress', '1.2.840.113549.1.9.1', 255, tag.ia5String),
];

/** Other spellings in use, in lower case. */
const aliases: Readonly<Record<string, string>> = {
  e: 'emailaddress',
  email: 'emailaddress',
  s: 'st',
  gn: 'givenname',
  surname: 'sn',
  commonname: 'cn',
};

const byOid = new Map(table.map((entry) => [entry.oid, entry]));
const byKeyword = new Map(table.map((entry) => [entry.keyword.toLowerCase(), entry]));

export const attributeKeywords: readonly string[] = table.map((entry) => entry.keyword);

export function attributeType(oid: string): AttributeType | undefined {
  return byOid.get(oid);
}

/** By keyword, in any case. */
export function attributeTypeNamed(keyword: string): AttributeType | undefined {
  const lower = keyword.toLowerCase();
  return byKeyword.get(aliases[lower] ?? lower);
}
