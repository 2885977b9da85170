import { type CertificateFacts, subjectNameOf } from '../src/x509/certificate.ts';
import type { x509 as library } from '../src/x509/x509-library.ts';

/*
 * Certificates are read here by a reader of our own. Chromebooks and RADIUS servers have others: what an adapter
 * issued is shown to one more, and where the two disagree, the certificate is written in a way that invites it.
 */

/**
 * What @peculiar/x509 reads otherwise than we did, or does not accept, in words; undefined when it agrees.
 *
 * @param facts what our own reader found.
 * @param chain DER each: whoever is named as the issuer there must have signed.
 */
export async function secondOpinion(
  facts: CertificateFacts,
  chain: readonly Uint8Array[] = [],
): Promise<string | undefined> {
  const { x509, provider } = await import('../src/x509/x509-library.ts');
  let certificate: library.X509Certificate;
  let theirs: Readonly<Record<string, string>>;
  try {
    certificate = new x509.X509Certificate(new Uint8Array(facts.der));
    theirs = readBy(x509, certificate);
  } catch (error) {
    return `it does not read it: ${error instanceof Error ? error.message : String(error)}`;
  }
  for (const [what, own] of Object.entries(ownReading(facts))) {
    const other = theirs[what] ?? '';
    if (other !== own) return `it reads the ${what} as ${shown(other)} and not as ${shown(own)}`;
  }
  const issuer = chain
    .map((der) => new x509.X509Certificate(new Uint8Array(der)))
    .find(({ subject }) => subject === certificate.issuer);
  if (issuer === undefined) return undefined;
  const isGood = await certificate.verify({ publicKey: issuer, signatureOnly: true }, provider);
  return isGood ? undefined : `it does not find the signature to be that of ${issuer.subject}`;
}

function ownReading(facts: CertificateFacts) {
  const { keyUsages, extendedKeyUsages, subjectAltNames, extensions } = facts;
  return {
    'serial number': withoutZeros(hex(facts.serialNumberBytes)),
    issuer: hex(facts.issuer),
    subject: hex(subjectNameOf(facts.der)),
    'time from which it is valid': new Date(facts.notBefore).toISOString(),
    'time until which it is valid': new Date(facts.notAfter).toISOString(),
    'public key': hex(facts.subjectPublicKeyInfo),
    'mark of a CA': String(facts.isCa),
    'path length': String(facts.pathLength),
    'key usages': keyUsages === undefined ? 'any' : keyUsages.toSorted().join(),
    'extended key usages': extendedKeyUsages === undefined ? 'any' : extendedKeyUsages.join(),
    'subject alternative names': subjectAltNames
      .filter(({ type }) => type !== 'other')
      .map(({ type, value }) => `${type}:${value}`)
      .join(),
    extensions: extensions.map(({ type, critical }) => `${type}:${critical}`).join(),
  };
}

function readBy(
  x509: typeof library,
  certificate: library.X509Certificate,
): ReturnType<typeof ownReading> {
  const constraints = certificate.getExtension(x509.BasicConstraintsExtension);
  const usages = certificate.getExtension(x509.KeyUsagesExtension)?.usages;
  const extended = certificate.getExtension(x509.ExtendedKeyUsageExtension)?.usages;
  const names = certificate.getExtension(x509.SubjectAlternativeNameExtension)?.names.items ?? [];
  const flags = Object.entries(x509.KeyUsageFlags).filter(([, flag]) => typeof flag === 'number');
  return {
    'serial number': withoutZeros(certificate.serialNumber),
    issuer: hex(certificate.issuerName.toArrayBuffer()),
    subject: hex(certificate.subjectName.toArrayBuffer()),
    'time from which it is valid': certificate.notBefore.toISOString(),
    'time until which it is valid': certificate.notAfter.toISOString(),
    'public key': hex(certificate.publicKey.rawData),
    'mark of a CA': String(constraints?.ca ?? false),
    'path length': String(constraints?.pathLength),
    'key usages':
      usages === undefined
        ? 'any'
        : flags
            .filter(([, flag]) => (usages & Number(flag)) !== 0)
            .map(([name]) => name)
            .toSorted()
            .join(),
    'extended key usages': extended === undefined ? 'any' : extended.join(),
    'subject alternative names': names
      .filter(({ type }) => ['dns', 'email', 'url', 'upn'].includes(type))
      .map(({ type, value }) => `${type === 'url' ? 'uri' : type}:${value}`)
      .join(),
    extensions: certificate.extensions.map(({ type, critical }) => `${type}:${critical}`).join(),
  };
}

function hex(bytes: ArrayBuffer | Uint8Array): string {
  return Buffer.from(bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes)).toString('hex');
}

/** An INTEGER may have one in front for its sign. */
function withoutZeros(digits: string): string {
  return digits.replace(/^(?:00)+(?=..)/, '');
}

function shown(text: string): string {
  return `“${text.slice(0, 100)}”`;
}
