import type { ErrorCode } from '../../src/errors.ts';

/*
 * What a Windows CA's error codes (MS-WCCE 2.2.2.1, MS-ERREF 2.1) mean for an order: a decision about this request, or
 * an error with the code that says who must act.
 */

export type HresultMeaning =
  | { readonly kind: 'rejected'; readonly name: string }
  | {
      readonly kind: 'error';
      readonly code: Extract<ErrorCode, `ca-${string}`>;
      readonly name: string;
    };

const admin = (name: string): HresultMeaning => ({ kind: 'error', code: 'ca-misconfigured', name });
const retry = (name: string): HresultMeaning => ({ kind: 'error', code: 'ca-unavailable', name });
const final = (name: string): HresultMeaning => ({ kind: 'rejected', name });

const meanings: ReadonlyMap<number, HresultMeaning> = new Map([
  [0x8009_4800, admin('the template is unknown or not published on this CA')],
  [0x8009_4802, admin('the request names two different templates')],
  [0x8009_4012, admin('our account may not enrol for this template')],
  [0x8009_4011, admin('our account may not enrol at this CA')],
  [0x8009_4009, admin('an enrolment-agent restriction is in the way')],
  [0x8009_481a, admin('the template demands key attestation')],
  [0x8007_0005, admin('access denied')],
  [0x8009_4014, final('an administrator denied the request')],
  [0x8009_4001, final('the subject of the request is not accepted')],
  [0x8009_4811, final('the public key is not of the template’s kind or length')],
  [0x8009_4004, final('the CA does not know this request id')],
  [0x8007_000d, final('the CA cannot read the request')],
  [0x8007_0057, final('the CA does not accept an argument of the request')],
  [0x8009_1004, final('the CA cannot decode the request')],
  [0x8009_200e, final('the CA finds no signer of the request')],
  [0x8009_2013, retry('the CA cannot check revocation at the moment')],
  [0x8007_06ba, retry('the CA service cannot be reached')],
  [0x8007_06be, retry('the CA service broke off the call')],
]);

/** An unknown code might be anything, so it waits for an administrator. */
export function meaningOf(hresult: number): HresultMeaning {
  return meanings.get(hresult) ?? admin('an error that is not known here');
}

/** CES gives codes as signed integers; both forms are accepted. */
export function unsignedHresult(code: number): number {
  return code >>> 0;
}

export function formatHresult(hresult: number): string {
  return `0x${hresult.toString(16).padStart(8, '0')}`;
}
