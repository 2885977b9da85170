import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import { decodePem, PemError } from '../../src/x509/pem.ts';

/** What `certificate/status` gives: a page of somebody else's with 200 has none of it. */
export const statusAnswer = z.object({ status: z.string() });

/** What enrolling, finalizing and searching give for one certificate. */
export const certificateAnswer = z.object({
  certificate: z.string().min(1),
  certificate_chain: z.array(z.string().min(1)).nullish(),
});

export const searchAnswer = z.object({ certificates: z.array(certificateAnswer) });

/** The body of 202: approval is needed. Which of these are there depends on the version. */
const pendingAnswer = z.object({
  request_id: z.union([z.number(), z.string()]).nullish(),
  info_message: z.string().nullish(),
  error_message: z.string().nullish(),
  link: z.unknown().optional(),
});

/** The id under which an order waits for approval; undefined when this EJBCA does not tell it. */
export function approvalIdOf(json: unknown): string | undefined {
  const parsed = pendingAnswer.safeParse(json);
  if (!parsed.success) return undefined;
  const { request_id: id, info_message, error_message, link } = parsed.data;
  if (id !== undefined && id !== null) return /^-?\d+$/.exec(String(id))?.[0];
  const told = `${info_message ?? ''} ${error_message ?? ''}`;
  return (
    /\/(-?\d+)\/finalize/.exec(JSON.stringify(link) ?? '')?.[1] ??
    /\b(?:request|approval)?\s*ID\D{0,4}(-?\d+)/i.exec(told)?.[1]
  );
}

/**
 * A certificate as EJBCA writes it into JSON: the base64 of its DER. Some answers hold the base64 of base64
 * (searches of some versions) or of PEM. The result is DER; it is not checked to be a certificate.
 *
 * @throws {ProvisioningError} `ca-bad-answer`
 */
export function certificateBytes(text: string): Uint8Array {
  let current = text;
  for (let depth = 0; depth < 2; depth++) {
    const bytes = Buffer.from(current, 'base64');
    if (bytes[0] === 0x30 && bytes[1] !== undefined && bytes[1] >= 0x80)
      return new Uint8Array(bytes);
    current = bytes.toString('latin1').trim();
    if (current.startsWith('-----BEGIN')) return pemBytes(current);
  }
  throw new ProvisioningError('ca-bad-answer', 'A certificate of EJBCA’s answer is not DER.');
}

function pemBytes(pem: string): Uint8Array {
  try {
    const [first] = decodePem(pem, 'CERTIFICATE');
    return first?.der ?? new Uint8Array();
  } catch (error) {
    if (!(error instanceof PemError)) throw error;
    throw new ProvisioningError('ca-bad-answer', `EJBCA's certificate: ${error.message}`, {
      cause: error,
    });
  }
}
