import { CertificationRequest } from '@peculiar/asn1-csr';
import { AsnConvert } from '@peculiar/asn1-schema';
import {
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extensions,
  KeyUsage,
  SubjectAlternativeName,
} from '@peculiar/asn1-x509';
import {
  extensionRequest,
  readCertificationRequest,
} from '../../../src/request/read-certification-request.ts';
import { algorithmOfKey } from '../../../src/request/signature-algorithm.ts';
import { readBer } from '../../../src/x509/ber.ts';
import { readCertificate, subjectNameOf } from '../../../src/x509/certificate.ts';
import { DerReader } from '../../../src/x509/der.ts';
import { readText } from '../../../src/x509/der-text.ts';
import {
  type DistinguishedName,
  decodeName,
  formatName,
} from '../../../src/x509/distinguished-name.ts';
import { type Extension, extensionOid, type FoundAltName } from '../../../src/x509/extensions.ts';
import { type Door, demand } from '../door.ts';
import { certificateReader, request } from './certificate.ts';

/*
 * Our own readers, which stand on the path of every certificate, against the field's libraries, on the fuzzer's inputs:
 * what both read they read alike. What ours refuses and the library takes is refused by one of the rules below.
 */

/** Rules that the libraries do not keep, as ours says them. */
const stricter: readonly RegExp[] = [
  /has a length that is not encoded in its shortest form/,
  /has (?:an indefinite length|a length that is too large|a tag of several bytes)/,
  /has \d+ bytes after its end/,
  /has tag 0x\w\w where 0x\w\w belongs/,
  /ends too early/,
  /A BOOLEAN is neither 00 nor FF/,
  /An INTEGER is (?:not encoded in its shortest form|empty|negative|larger than expected)/,
  /A BIT STRING does not consist of whole bytes|The key usage is not a BIT STRING/,
  /An object identifier is (?:cut off|too long|not encoded in its shortest form)/,
  /A time is not (?:in the form that RFC 5280 4\.1\.2\.5 demands|a date of the calendar)/,
  /A string is not in its encoding|A UniversalString/,
  /(?:Extension|Attribute) [\d.]+ is there twice/,
  /names two different signature algorithms/,
  /The version is \d+|\d+ are read at most|is longer than \d+ bytes/,
  /The device’s public key: /,
];

/** What ours takes over without looking inside, as the library says it. */
const takenUnread: readonly RegExp[] = [
  /GeneralName/, // names of other kinds
  /AlgorithmIdentifier/,
  // What asn1js and the door before it say of BER, inside values that ours passes on as they are.
  /End of input reached|Inconsistent (?:object )?length|Zero buffer length|Input buffer has zero length/,
  /Constructed encoding used for primitive type|OCTET STRING may|is reserved|are reserved|reserved by standard/,
  /Maximum ASN\.1|It has (?:a value that is too long|bytes after its end)/,
  /A value stands where a list belongs/,
  /Too big integer|byte length of|Wrong input string for conversion|Unused bits for BitString|outside the bounds/,
];

const hex = (bytes: Uint8Array | ArrayBuffer) =>
  Buffer.from(bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes)).toString('hex');

function certificateByUs(der: Uint8Array) {
  const facts = readCertificate(der);
  // Taken over as bytes until somebody needs it: here somebody does.
  algorithmOfKey(facts.subjectPublicKeyInfo);
  const { notBefore, notAfter, isCa, pathLength, keyUsages, extendedKeyUsages } = facts;
  return {
    serial: hex(facts.serialNumberBytes),
    issuer: shownName(facts.issuer),
    subject: shownName(subjectNameOf(der)),
    validity: [notBefore, notAfter],
    key: hex(facts.subjectPublicKeyInfo),
    basic: [isCa, String(pathLength)],
    keyUsages: keyUsages?.toSorted().map(String),
    extendedKeyUsages: extendedKeyUsages?.map(known),
    names: namesOf(facts.subjectAltNames),
    extensions: ownExtensions(facts.extensions),
  };
}

const ownExtensions = (extensions: readonly Extension[]) =>
  extensions.map(({ type, critical, value }) => `${known(type)} ${critical} ${hex(value)}`);

/** The library writes an identifier with a number of more than 32 bits in ways of its own. */
const known = (oid: string) =>
  /[^\d.]|\d{10}|^0\.2$/.test(oid) ? 'an identifier with a large number' : oid;

/** What is no text in a name the library writes anew, in the form of its type. */
const textOf = (name: DistinguishedName) =>
  formatName(name)
    .replaceAll(/(?:^|(?<=[,+]))[\d.]+(?==)/g, known)
    .replaceAll(/\\?#[0-9a-f]+/g, 'no text');

const shownName = (der: Uint8Array | ArrayBuffer) => textOf(decodeName(new Uint8Array(der)));

const namesOf = (names: readonly FoundAltName[]) =>
  names.filter(({ type }) => type !== 'other').map(({ type, value }) => `${type}:${value}`);

/** As everywhere behind the door that stands before the library, which lets values go on beyond what is around them. */
function parsed<Structure>(
  der: Uint8Array | ArrayBuffer,
  structure: new () => Structure,
): Structure {
  readBer(new Uint8Array(der), 'It');
  return AsnConvert.parse(der, structure);
}

function certificateByLibrary(der: Uint8Array): ReturnType<typeof certificateByUs> {
  const { tbsCertificate } = parsed(der, Certificate);
  const { validity, extensions = new Extensions() } = tbsCertificate;
  const constraints = valueIn(extensions, extensionOid.basicConstraints);
  const basic = constraints && parsed(constraints, BasicConstraints);
  return {
    serial: hex(tbsCertificate.serialNumber),
    issuer: shownName(AsnConvert.serialize(tbsCertificate.issuer)),
    subject: shownName(AsnConvert.serialize(tbsCertificate.subject)),
    validity: [validity.notBefore.getTime().getTime(), validity.notAfter.getTime().getTime()],
    key: hex(AsnConvert.serialize(tbsCertificate.subjectPublicKeyInfo)),
    basic: [basic?.cA ?? false, String(basic?.pathLenConstraint)],
    ...extensionsByLibrary(extensions),
  };
}

function requestByUs(der: Uint8Array) {
  const facts = readCertificationRequest(der);
  algorithmOfKey(facts.subjectPublicKeyInfo);
  const { keyUsages, extendedKeyUsages } = facts;
  return {
    subject: textOf(facts.subject),
    key: hex(facts.subjectPublicKeyInfo),
    attributes: facts.attributes.map(({ type, values }) => `${known(type)} ${values.map(hex)}`),
    keyUsages: keyUsages.toSorted().map(String),
    extendedKeyUsages: extendedKeyUsages.map(known),
    names: namesOf(facts.subjectAltNames),
    extensions: ownExtensions(facts.extensions),
  };
}

function requestByLibrary(der: Uint8Array): ReturnType<typeof requestByUs> {
  const { certificationRequestInfo: info } = parsed(der, CertificationRequest);
  const attributes = [...info.attributes];
  const wanted = attributes.find(({ type }) => type === extensionRequest)?.values[0];
  const extensions = wanted === undefined ? new Extensions() : parsed(wanted, Extensions);
  const { keyUsages = [], extendedKeyUsages = [], ...rest } = extensionsByLibrary(extensions);
  return {
    subject: shownName(AsnConvert.serialize(info.subject)),
    key: hex(AsnConvert.serialize(info.subjectPKInfo)),
    attributes: attributes
      .filter(({ type }) => type !== extensionRequest)
      .map(({ type, values }) => `${known(type)} ${values.map(hex)}`),
    keyUsages,
    extendedKeyUsages,
    ...rest,
  };
}

function extensionsByLibrary(extensions: Extensions) {
  const usages = valueIn(extensions, extensionOid.keyUsage);
  const extended = valueIn(extensions, extensionOid.extendedKeyUsage);
  const names = valueIn(extensions, extensionOid.subjectAltName);
  return {
    keyUsages: usages && parsed(usages, KeyUsage).toJSON().map(ourName).toSorted(),
    extendedKeyUsages: extended && parsed(extended, ExtendedKeyUsage).map(known),
    names: names === undefined ? [] : namesByLibrary(names),
    extensions: extensions.map(
      ({ extnID, critical, extnValue }) => `${known(extnID)} ${critical} ${hex(extnValue.buffer)}`,
    ),
  };
}

const valueIn = (extensions: Extensions, oid: string) =>
  extensions.find(({ extnID }) => extnID === oid)?.extnValue.buffer;

const ourName = (usage: string) => ({ crlSign: 'cRLSign' })[usage] ?? usage;

function namesByLibrary(value: ArrayBuffer): string[] {
  return parsed(value, SubjectAlternativeName).flatMap((name) => {
    if (name.dNSName !== undefined) return [`dns:${name.dNSName}`];
    if (name.rfc822Name !== undefined) return [`email:${name.rfc822Name}`];
    if (name.uniformResourceIdentifier !== undefined) {
      return [`uri:${name.uniformResourceIdentifier}`];
    }
    if (name.otherName?.typeId !== '1.3.6.1.4.1.311.20.2.3') return [];
    const value = new DerReader(new Uint8Array(name.otherName.value), 'It');
    const text = value.done ? undefined : readText(value.next());
    return text === undefined ? [] : [`upn:${text}`];
  });
}

/** Both refuse it. */
class RefusedByBoth extends Error {}

/** Demands that both read the same, and that where one alone refuses, it is by a rule of the lists above. */
function compared<Reading>(
  byUs: (der: Uint8Array) => Reading,
  byLibrary: (der: Uint8Array) => Reading,
): Pick<Door, 'enter' | 'isRefusal'> {
  return {
    enter(der) {
      const own = attempted(byUs, der);
      const other = attempted(byLibrary, der);
      if (own.refusal === undefined && other.refusal === undefined) {
        const [ours, theirs] = [JSON.stringify(own.reading), JSON.stringify(other.reading)];
        demand(ours === theirs, `read differently: ${ours} by us, ${theirs} by the library`);
        return 'alike';
      }
      if (own.refusal !== undefined && other.refusal !== undefined) throw new RefusedByBoth();
      const [who, rules] = own.refusal === undefined ? ['library', takenUnread] : ['us', stricter];
      const refusal = own.refusal ?? other.refusal ?? '';
      const rule = rules.findIndex((each) => each.test(refusal));
      demand(rule >= 0, `refused by ${who} alone: ${refusal}`);
      return `refused by ${who} alone, rule ${rule}`;
    },
    isRefusal: (error) => error instanceof RefusedByBoth,
  };
}

function attempted<Reading>(read: (der: Uint8Array) => Reading, der: Uint8Array) {
  try {
    return { reading: read(der) };
  } catch (error) {
    return { refusal: String(error) };
  }
}

export const certificateOfTwo: Door = {
  ...certificateReader,
  ...compared(certificateByUs, certificateByLibrary),
  name: 'certificate-of-two',
};

export const requestOfTwo: Door = {
  ...request,
  ...compared(requestByUs, requestByLibrary),
  name: 'request-of-two',
};
