import { ProvisioningError } from '../../src/errors.ts';
import { DerReader, readInteger, tag } from '../../src/x509/der.ts';
import { readText } from '../../src/x509/der-text.ts';
import { serverWords } from '../shared/server-words.ts';

/** PKIStatus (RFC 9810 5.2.3). */
export const pkiStatus = { accepted: 0, grantedWithMods: 1, rejection: 2, waiting: 3 } as const;

export interface StatusInfo {
  readonly status: number;
  /** The CA's words. */
  readonly text: string;
  /** Names of the bits of PKIFailureInfo that are set. */
  readonly failures: readonly string[];
}

/** In the order of their bits (RFC 9810 5.2.3). */
const failureNames = [
  'badAlg',
  'badMessageCheck',
  'badRequest',
  'badTime',
  'badCertId',
  'badDataFormat',
  'wrongAuthority',
  'incorrectData',
  'missingTimeStamp',
  'badPOP',
  'certRevoked',
  'certConfirmed',
  'wrongIntegrity',
  'badRecipientNonce',
  'timeNotAvailable',
  'unacceptedPolicy',
  'unacceptedExtension',
  'addInfoNotAvailable',
  'badSenderNonce',
  'badCertTemplate',
  'signerNotTrusted',
  'transactionIdInUse',
  'unsupportedVersion',
  'notAuthorized',
  'systemUnavail',
  'systemFailure',
  'duplicateCertReq',
] as const;

type FailureName = (typeof failureNames)[number];

/** Who must act; what is not here is the CA's decision about the request. The first that fits counts. */
const whoActs: readonly (readonly [
  'ca-unavailable' | 'ca-misconfigured' | 'ca-bad-answer',
  readonly FailureName[],
])[] = [
  ['ca-unavailable', ['systemUnavail', 'systemFailure', 'timeNotAvailable', 'transactionIdInUse']],
  [
    'ca-misconfigured',
    [
      'badAlg',
      'badMessageCheck',
      'badTime',
      'wrongAuthority',
      'wrongIntegrity',
      'signerNotTrusted',
      'unsupportedVersion',
      'notAuthorized',
    ],
  ],
  [
    'ca-bad-answer',
    ['incorrectData', 'missingTimeStamp', 'badRecipientNonce', 'badSenderNonce', 'certConfirmed'],
  ],
];

const hints: Partial<Record<FailureName, string>> = {
  badMessageCheck: 'Look at reference and secret, or at the signer’s certificate.',
  badTime: 'Look at this machine’s clock.',
  signerNotTrusted: 'The CA must know our certificate as a registration authority’s.',
  notAuthorized: 'The CA must allow us to request certificates for others.',
  wrongIntegrity: 'The CA wants the other kind of protection (secret or signature).',
  transactionIdInUse:
    'An earlier attempt of this order reached the CA and was not answered. It is tried again when the CA has given that one up.',
};

/**
 * PKIStatusInfo ::= SEQUENCE { status INTEGER, statusString SEQUENCE OF UTF8String OPTIONAL,
 *   failInfo BIT STRING OPTIONAL }                                            (RFC 9810 5.2.3)
 *
 * @param reader stands before it.
 */
export function readStatusInfo(reader: DerReader): StatusInfo {
  const info = reader.into('PKIStatusInfo');
  const status = readInteger(info.next(tag.integer));
  const texts = info.optional(tag.sequence);
  const bits = info.optional(tag.bitString)?.content.subarray(1) ?? new Uint8Array();
  return {
    status: status.length === 1 ? (status[0] ?? -1) : -1,
    text: texts === undefined ? '' : readTexts(texts.content),
    failures: failureNames.filter((_, bit) => ((bits[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0),
  };
}

/** ErrorMsgContent ::= SEQUENCE { PKIStatusInfo, errorCode INTEGER OPTIONAL, errorDetails OPTIONAL } */
export function readErrorMessage(body: Uint8Array): StatusInfo {
  const error = new DerReader(body, 'The error message').into('ErrorMsgContent');
  const info = readStatusInfo(error);
  error.optional(tag.integer);
  const details = error.optional(tag.sequence);
  const text = details === undefined ? info.text : `${info.text} ${readTexts(details.content)}`;
  return { ...info, text };
}

/** PKIFreeText ::= SEQUENCE SIZE (1..MAX) OF UTF8String */
function readTexts(content: Uint8Array): string {
  const list = new DerReader(content, 'PKIFreeText');
  const texts: string[] = [];
  while (!list.done) texts.push(readText(list.next()) ?? '');
  return texts.join(' ');
}

/** For messages: the CA's words and the failures. */
export function describeStatus(info: StatusInfo, secrets: readonly string[]): string {
  const failures = info.failures.join(', ') || 'no failInfo';
  return `status ${info.status}, ${failures}: ${serverWords(info.text, secrets) || 'no text'}`;
}

/**
 * What a negative answer means: an error that says who must act, or undefined when the CA decided against
 * the request for good.
 */
export function problemOf(
  info: StatusInfo,
  what: string,
  secrets: readonly string[],
): ProvisioningError | undefined {
  for (const [code, names] of whoActs) {
    const found = names.find((name) => info.failures.includes(name));
    if (found === undefined) continue;
    const hint = hints[found];
    const said = `${what}: ${describeStatus(info, secrets)}.`;
    return new ProvisioningError(code, hint === undefined ? said : `${said} ${hint}`, {
      // Its own words, and they deny the request.
      unanswered: info.status !== pkiStatus.rejection,
    });
  }
  if (info.status === pkiStatus.rejection) return undefined;
  const said = `${what}: an unexpected ${describeStatus(info, secrets)}.`;
  return new ProvisioningError('ca-bad-answer', said);
}
