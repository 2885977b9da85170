import { nearestName } from '../words/nearest-name.ts';
import { isOid } from './encode-der.ts';

/** The key usages that a profile may ask for (RFC 5280 4.2.1.3); those of a CA are not among them. */
export const keyUsageNames = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
] as const;

/** Names of RFC 5280 4.2.1.3. */
export type KeyUsage = (typeof keyUsageNames)[number];

/** Extended key usages by name (RFC 5280 4.2.1.12, RFC 4556, RFC 6402 2.10, and Microsoft's). */
export const extendedKeyUsageOids = {
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  codeSigning: '1.3.6.1.5.5.7.3.3',
  emailProtection: '1.3.6.1.5.5.7.3.4',
  ipsecEndSystem: '1.3.6.1.5.5.7.3.5',
  ipsecTunnel: '1.3.6.1.5.5.7.3.6',
  ipsecUser: '1.3.6.1.5.5.7.3.7',
  timeStamping: '1.3.6.1.5.5.7.3.8',
  ocspSigning: '1.3.6.1.5.5.7.3.9',
  eapOverPpp: '1.3.6.1.5.5.7.3.13',
  eapOverLan: '1.3.6.1.5.5.7.3.14',
  ipsecIke: '1.3.6.1.5.5.7.3.17',
  ipsecIkeIntermediate: '1.3.6.1.5.5.8.2.2',
  kerberosClientAuth: '1.3.6.1.5.2.3.4',
  cmcRa: '1.3.6.1.5.5.7.3.28',
  certificateRequestAgent: '1.3.6.1.4.1.311.20.2.1',
  smartcardLogon: '1.3.6.1.4.1.311.20.2.2',
  encryptingFileSystem: '1.3.6.1.4.1.311.10.3.4',
  documentSigning: '1.3.6.1.4.1.311.10.3.12',
  anyExtendedKeyUsage: '2.5.29.37.0',
} as const satisfies Record<string, string>;

const nameOfOid = new Map<string, string>(
  Object.entries(extendedKeyUsageOids).map(([name, oid]) => [oid, name]),
);

const otherNames: Readonly<Record<string, KeyUsage>> = { contentcommitment: 'nonRepudiation' };

/**
 * A key usage by its name, in any case.
 *
 * @throws {RangeError} with the nearest known name.
 */
export function parseKeyUsage(text: string): KeyUsage {
  const wanted = text.toLowerCase();
  const found = keyUsageNames.find((name) => name.toLowerCase() === wanted) ?? otherNames[wanted];
  if (found !== undefined) return found;
  throw new RangeError(`“${text}” is no key usage. ${hint(text, keyUsageNames)}`);
}

/**
 * An extended key usage by its name (in any case) or object identifier, as an object identifier.
 *
 * @throws {RangeError} with the nearest known name.
 */
export function parseExtendedKeyUsage(text: string): string {
  const wanted = text.toLowerCase();
  for (const [name, oid] of Object.entries(extendedKeyUsageOids)) {
    if (name.toLowerCase() === wanted) return oid;
  }
  if (isOid(text)) return text;
  const known = Object.keys(extendedKeyUsageOids);
  throw new RangeError(
    `“${text}” is no extended key usage. ${hint(text, known)} An object identifier (1.3.6.1.…) works too.`,
  );
}

/** The name of an extended key usage for people; the object identifier when it has none. */
export function formatExtendedKeyUsage(oid: string): string {
  return nameOfOid.get(oid) ?? oid;
}

function hint(text: string, known: readonly string[]): string {
  const nearest = nearestName(text, known);
  return nearest === undefined ? `Known are ${known.join(', ')}.` : `Is ${nearest} meant?`;
}
