import { z } from 'zod';
import type { IssueRequest } from '../../src/plug-in/certificate-authority.ts';
import { readCertificates } from '../../src/x509/pem.ts';
import { issuedToKey } from '../shared/issued-pem.ts';
import type { Dialect, JsonAnswer, JsonApi } from '../shared/json-api.ts';

/** google.rpc.Status (AIP-193), of its details the BadRequest ones. */
const errorBody = z.object({
  error: z.object({
    code: z.number(),
    message: z.string(),
    /** The canonical code: `ALREADY_EXISTS`, `FAILED_PRECONDITION`, …; empty when the answer names none. */
    status: z
      .string()
      .regex(/^[A-Z_]{1,40}$/)
      .catch(''),
    details: z
      .array(z.object({ fieldViolations: z.array(z.object({ field: z.string() })).default([]) }))
      .catch([]),
  }),
});

export const googleDialect: Dialect = {
  said: (call, status) => `google-cas ${call}: ${status}`,
  ownWords(json, status) {
    const error = errorIn(json, status);
    return error && (error.status === '' ? error.message : `${error.status}: ${error.message}`);
  },
  statusOf({ json, status }) {
    if (errorIn(json, status)?.status === 'RESOURCE_EXHAUSTED') return 429;
    // 409 ABORTED: another change was in the way.
    return status === 409 ? 503 : status;
  },
};

/** Its own code says the same as the status, or somebody in between has changed one of them. */
function errorIn(json: unknown, status: number) {
  const error = errorBody.safeParse(json).data?.error;
  return error?.code === status ? error : undefined;
}

/** Whether the refusal is a decision about this request, and not about how we are set up. */
export function isDecision({ json, status }: JsonAnswer): boolean {
  const error = errorIn(json, status);
  if (error?.status === 'INVALID_ARGUMENT') {
    const fields = error.details.flatMap((detail) => detail.fieldViolations);
    // What is at fault besides the CSR comes from the configuration: an administrator can mend it.
    return (
      fields.length === 0 || fields.some(({ field }) => /csr|subject|public_?key/i.test(field))
    );
  }
  // The issuance policy said no; a disabled CA or a missing one passes when somebody acts.
  return (
    error?.status === 'FAILED_PRECONDITION' &&
    /polic|constraint|not (allowed|permitted)/i.test(error.message)
  );
}

/** Whether the certificate's id is taken already; some gateways leave the reason out. */
export function isExisting({ json, status }: JsonAnswer): boolean {
  const reason = errorIn(json, status)?.status ?? '';
  return status === 409 && (reason === 'ALREADY_EXISTS' || reason === '');
}

const certificate = z.object({
  pemCertificate: z.string(),
  pemCertificateChain: z.array(z.string()).nullish(),
});

/** A Certificate resource (v1 projects.locations.caPools.certificates) as an answer to an order. */
export function issuanceOf(api: JsonApi, answer: JsonAnswer, request: IssueRequest) {
  const problem = 'google-cas: the answer has no usable pemCertificate';
  const { pemCertificate, pemCertificateChain } = api.read(answer, certificate, 'google-cas');
  return issuedToKey([pemCertificate, ...(pemCertificateChain ?? [])], request, problem);
}

/** What testIamPermissions says; JSON leaves empty lists out. */
export const permissions = z.object({ permissions: z.array(z.string()).default([]) });

const listed = z.object({
  certificates: z
    .array(
      z.object({
        name: z.string(),
        pemCertificate: z.string(),
        revocationDetails: z.unknown().optional(),
      }),
    )
    .default([]),
});

/** The entry of certificates.list that is this very certificate. */
export function entryOf(api: JsonApi, answer: JsonAnswer, wanted: Uint8Array) {
  const entries = api.read(answer, listed, 'google-cas').certificates;
  return entries.find(({ pemCertificate }) =>
    readCertificates(pemCertificate).some((der) => Buffer.compare(der, wanted) === 0),
  );
}
