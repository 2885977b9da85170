import { ProvisioningError } from '../../src/errors.ts';
import type { Issuance } from '../../src/plug-in/certificate-authority.ts';
import { readCertificate } from '../../src/x509/certificate.ts';
import { decodePem } from '../../src/x509/pem.ts';
import type { HttpAnswer } from '../shared/http.ts';
import { serverWords } from '../shared/server-words.ts';
import { statusProblem } from '../shared/status-problem.ts';

/** An answer outside of 2xx, read as google.rpc.Status (AIP-193). */
export interface Refusal {
  readonly status: number;
  /** The canonical code: `ALREADY_EXISTS`, `FAILED_PRECONDITION`, …; empty when the answer names none. */
  readonly reason: string;
  /** One line, for operators. */
  readonly words: string;
  /** The fields that a BadRequest detail names. */
  readonly fields: readonly string[];
  /** Whether it is Google that speaks. */
  readonly isOwn: boolean;
  readonly answer: HttpAnswer;
}

export function refusalOf(answer: HttpAnswer): Refusal {
  const { status, body } = answer;
  const error = memberOf(jsonOf(body), 'error');
  const reason = memberOf(error, 'status');
  const message = memberOf(error, 'message');
  const isNamed = typeof reason === 'string' && /^[A-Z_]{1,40}$/.test(reason);
  // Its own code says the same as the status, or somebody in between has changed one of them.
  const isOwn = typeof message === 'string' && memberOf(error, 'code') === status;
  return {
    status,
    reason: isOwn && isNamed ? reason : '',
    words: isOwn ? serverWords(message) : serverWords(body) || 'nothing',
    fields: isOwn ? violatedFields(memberOf(error, 'details')) : [],
    isOwn,
    answer,
  };
}

function violatedFields(details: unknown): string[] {
  const fields: string[] = [];
  for (const detail of asList(details).slice(0, 20)) {
    for (const violation of asList(memberOf(detail, 'fieldViolations')).slice(0, 20)) {
      const field = memberOf(violation, 'field');
      if (typeof field === 'string') fields.push(field);
    }
  }
  return fields;
}

/** Whether the refusal is a decision about this request, and not about how we are set up. */
export function isDecision({ reason, words, fields }: Refusal): boolean {
  if (reason === 'INVALID_ARGUMENT') {
    // What is at fault besides the CSR comes from the configuration: an administrator can mend it.
    return fields.length === 0 || fields.some((field) => /csr|subject|public_?key/i.test(field));
  }
  // The issuance policy said no; a disabled CA or a missing one passes when somebody acts.
  return (
    reason === 'FAILED_PRECONDITION' && /polic|constraint|not (allowed|permitted)/i.test(words)
  );
}

/** The error that a refusal means when it is no decision. */
export function errorOf(refusal: Refusal, what: string, now: number): ProvisioningError {
  const { reason, words, isOwn, answer } = refusal;
  const status = reason === 'RESOURCE_EXHAUSTED' ? 429 : answer.status;
  // 409 ABORTED: another change was in the way.
  return statusProblem(
    { ...answer, status: status === 409 ? 503 : status },
    {
      what: `google-cas ${what}: ${answer.status}${reason === '' ? '' : ` ${reason}`}: ${words}`,
      isOwn,
      now,
    },
  );
}

/** A Certificate resource (v1 projects.locations.caPools.certificates) as an answer to an order. */
export function issuanceOf(answer: HttpAnswer, subjectPublicKeyInfo: Uint8Array): Issuance {
  const resource = jsonOf(answer.body);
  const leaf = memberOf(resource, 'pemCertificate');
  const rest = memberOf(resource, 'pemCertificateChain');
  try {
    const [certificate, ...more] = pemOf(leaf);
    if (certificate === undefined || more.length > 0) throw new Error('not one certificate');
    const facts = readCertificate(certificate);
    if (Buffer.compare(facts.subjectPublicKeyInfo, subjectPublicKeyInfo) !== 0) {
      throw new Error('it is for another public key than the order’s');
    }
    const chain = asList(rest).slice(0, 20).flatMap(pemOf);
    return { kind: 'issued', certificate, chain };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw new ProvisioningError(
      'ca-bad-answer',
      `google-cas: the answer has no usable pemCertificate: ${problem}`,
    );
  }
}

function pemOf(value: unknown): Uint8Array[] {
  if (typeof value !== 'string') throw new Error('a certificate is not a text');
  return decodePem(value, 'CERTIFICATE').map(({ der }) => der);
}

/** The permissions that testIamPermissions says we have. */
export function permissionsOf(answer: HttpAnswer): readonly unknown[] {
  return asList(memberOf(jsonOf(answer.body), 'permissions'));
}

/** The entry of certificates.list that is this very certificate. */
export function entryOf(
  answer: HttpAnswer,
  certificate: Uint8Array,
): { readonly name: string; readonly revoked: boolean } | undefined {
  for (const entry of asList(memberOf(jsonOf(answer.body), 'certificates'))) {
    const name = memberOf(entry, 'name');
    const pem = memberOf(entry, 'pemCertificate');
    if (typeof name !== 'string' || typeof pem !== 'string') continue;
    if (!pemOf(pem).some((der) => Buffer.compare(der, certificate) === 0)) continue;
    return { name, revoked: memberOf(entry, 'revocationDetails') !== undefined };
  }
  return undefined;
}

/** The answer's JSON; undefined when it is none. */
function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined; // Whoever needs a member of it says that it is missing.
  }
}

function memberOf(json: unknown, key: string): unknown {
  return typeof json === 'object' && json !== null && Object.hasOwn(json, key)
    ? Reflect.get(json, key)
    : undefined;
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
