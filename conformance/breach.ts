import { AssertionError } from 'node:assert/strict';
import { type ErrorCode, ProvisioningError } from '../src/errors.ts';
import { isOfTheNetwork, PlugInError, placeOf } from '../src/plug-in/checked-plug-in.ts';
import { scrub } from '../src/words/scrub.ts';
import { LateError } from './within.ts';

/** What was expected of an adapter and what its author does about it: whole sentences. */
export interface Lesson {
  readonly expected: string;
  readonly mend: string;
}

/** What an adapter did wrong, in plain words and without any of the harness's secrets. */
export class Breach extends Error {
  override readonly name = 'Breach';
  readonly expected: string;
  readonly came: string;
  readonly mend: string;

  constructor({ expected, mend }: Lesson, came: string, options?: ErrorOptions) {
    super(`Expected: ${expected} Came: ${came} To mend it: ${mend}`, options);
    this.expected = expected;
    this.came = came;
    this.mend = mend;
  }
}

/** A case could not be brought about, although nothing is wrong; the message says why. */
export class NotShown extends Error {
  override readonly name = 'NotShown';
}

/** An error of a case as a breach. Where the error says more than the case does, its own lesson is taught. */
export function breachOf(error: unknown, lesson: Lesson, secrets: readonly string[]): Breach {
  if (error instanceof Breach) return error;
  return new Breach({ ...lesson, ...knownLesson(error) }, cameText(error, secrets), {
    cause: error,
  });
}

/** By the kind of the error, whichever case it came up in. */
function knownLesson(error: unknown): Partial<Lesson> | undefined {
  if (error instanceof LateError) return late;
  // For an error without a code the plug-in's own error counts, which is its cause.
  if (error instanceof PlugInError && error.cause !== undefined) return knownLesson(error.cause);
  if (error instanceof PlugInError) return wrongForm;
  if (error instanceof ProvisioningError) return lessons[error.code];
  if (error instanceof Error && isOfTheNetwork(error)) return unreached;
  const isSlip = error instanceof TypeError || error instanceof ReferenceError;
  return isSlip ? { mend: `correct the code${placeOf(error)}.` } : undefined;
}

/** An error in a sentence, short, on one line, and without secrets. */
export function cameText(error: unknown, secrets: readonly string[]): string {
  const text = masked(described(error), secrets).replaceAll(/\s+/g, ' ').trim();
  const short = text.length > mostShown ? `${text.slice(0, mostShown)}…` : text;
  return /[.!?…]$/.test(short) ? short : `${short}.`;
}

/** The text without secrets: the given ones, and what looks like one. */
export function masked(text: string, secrets: readonly string[]): string {
  const shown = secrets.reduce((rest, secret) => rest.replaceAll(secret, '[a secret]'), text);
  return scrub(shown);
}

/** In characters. */
const mostShown = 400;

/** What failed, as it says itself. */
export function described(error: unknown): string {
  if (error instanceof AssertionError) return error.message;
  if (error instanceof ProvisioningError) return `the error ${error.code}: ${error.message}`;
  if (error instanceof LateError) return error.message;
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

const unreached: Partial<Lesson> = {
  mend: 'start the CA, or correct the options: this is what the adapter itself says of them. If the CA was well, the adapter took its answer for a failure.',
};

const wrongForm: Partial<Lesson> = {
  mend: 'correct what this sentence names: docs/develop/adapters.md says under “What to answer” and “What an order brings” what each call gives back, and by which codes it fails.',
};

const late: Partial<Lesson> = {
  mend: 'end each call when its signal is aborted, and await nothing that does not end. If the CA is well and only slow, give each case more time: --timeout SECONDS.',
};

/** What an error's code teaches the author of an adapter, whichever case it came up in. */
const lessons: Partial<Record<ErrorCode, Partial<Lesson>>> = {
  'ca-unavailable': unreached,
  'ca-throttled': unreached,
  'ca-misconfigured': unreached,
  'certificate-unreadable': {
    expected: 'a certificate, and a chain of certificates, in DER.',
    mend: 'decode what the CA sends: PEM with readCertificates(), base64 with Buffer.from(text, "base64").',
  },
  'certificate-wrong-key': {
    expected: 'a certificate for the key of the order.',
    mend: 'send request.csr to the CA unchanged, and return the certificate of its answer whose public key is request.subjectPublicKeyInfo, wherever it stands.',
  },
  'certificate-is-ca': {
    expected: 'the end-entity certificate as `certificate`, and the CA’s as `chain`.',
    mend: 'return the certificate whose public key is request.subjectPublicKeyInfo as `certificate`; it may not stand first in the CA’s answer. If it does, correct the CA’s template.',
  },
  'certificate-not-valid-now': {
    expected: 'a certificate that is valid now.',
    mend: 'compare the clocks of the CA and of this machine, and do not return an earlier certificate that has expired.',
  },
  'certificate-too-short': {
    expected: 'a certificate that is valid for more than a day.',
    mend: 'ask the CA for request.wanted.validityDays days, or raise what its template allows.',
  },
  'certificate-wrong-usage': {
    expected:
      'the key usages and extended key usages of request.wanted, and no powers besides (serverAuth and clientAuth do no harm).',
    mend: 'choose a template of the CA with these usages and no others. If this kind of CA never certifies them, say so under features.mayDrop; if it always adds one, under features.mayAdd.',
  },
  'certificate-wrong-names': {
    expected: 'every name of request.wanted, and no other.',
    mend: 'have the CA take the names of the CSR (its template or profile decides), or send it request.wanted’s. If this kind of CA never certifies a name, say so under features.mayDrop; what one installation drops belongs under mayDrop in its configuration.',
  },
  'certificate-untrusted': {
    expected: 'a chain that leads from the certificate to a root of the CA.',
    mend: 'return the intermediate certificates of the CA’s answer as `chain`, and see that the roots given to this run are the CA’s.',
  },
};
