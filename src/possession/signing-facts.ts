import { ageOf } from '../journal/age.ts';
import type { ProcessRecord, SigningFacts } from '../journal/process-record.ts';
import { verifySignature } from '../request/signature-algorithm.ts';
import type { Step, VisitContext } from '../visit/visit.ts';
import { certificationRequest } from './certification-request.ts';

/* What the record says of the signing, and how it goes on. */

/** Google has been asked, as of now. */
export function calledNow(record: ProcessRecord, context: VisitContext): SigningFacts {
  const { pauseOwedMs: _settled, unclearCalls: _over, ...clear } = signingOf(record);
  const now = context.clock.now();
  return { ...clear, calledAt: now, calledAge: ageOf(record, now) };
}

/** The signature completes the CSR, if it is the device's: nothing else happens before that is known. */
export function proven(record: ProcessRecord, signature: Uint8Array): Step {
  const { toBeSigned: _completed, ...signing } = signingOf(record);
  const info = bytesToBeSigned(signingOf(record));
  const { subjectPublicKeyInfo, keyType } = requestOf(record);
  const key = Buffer.from(subjectPublicKeyInfo, 'base64');
  const csr = certificationRequest(info, keyType, verifySignature(info, signature, key));
  return {
    kind: 'onward',
    record: { ...record, signing, csr: Buffer.from(csr).toString('base64') },
  };
}

export function requestOf(record: ProcessRecord) {
  if (record.request === undefined) throw new Error('The record has no request.');
  return record.request;
}

export function signingOf(record: ProcessRecord): SigningFacts {
  if (record.signing === undefined) throw new Error('The record has no signing.');
  return record.signing;
}

export function bytesToBeSigned(signing: SigningFacts): Buffer {
  if (signing.toBeSigned === undefined) throw new Error('The record has nothing to be signed.');
  return Buffer.from(signing.toBeSigned, 'base64');
}
