import { createHash, timingSafeEqual, X509Certificate } from 'node:crypto';
import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import type { AdapterHttp } from '../shared/http.ts';
import { readJson } from '../shared/json-answer.ts';

const rootAnswer = z.object({ ca: z.string() });

/**
 * The root certificate (PEM) with this SHA-256, from a server that is not trusted yet: whoever answers can give
 * nothing else that has it.
 *
 * @param fingerprint 64 hexadecimal digits.
 * @param http a connection that verifies no server; used for this only.
 */
export async function fetchPinnedRoot(
  url: string,
  fingerprint: string,
  http: AdapterHttp,
  signal: AbortSignal,
): Promise<string> {
  const wanted = fingerprint.toLowerCase();
  const answer = await http.request(
    { method: 'GET', url: new URL(`/root/${wanted}`, url).href },
    signal,
  );
  if (answer.status >= 500) {
    throw new ProvisioningError('ca-unavailable', `step-ca answered ${answer.status} to /root.`);
  }
  if (answer.status !== 200) {
    throw new ProvisioningError(
      'ca-misconfigured',
      `step-ca answered ${answer.status} to /root/${wanted}: it has no root with this fingerprint.`,
    );
  }
  const { ca } = readJson(answer, rootAnswer, 'The answer to /root');
  const certificate = parsed(ca);
  const found = createHash('sha256').update(certificate.raw).digest();
  if (timingSafeEqual(found, Buffer.from(wanted, 'hex'))) return certificate.toString();
  throw new ProvisioningError(
    'ca-misconfigured',
    `The root that ${new URL(url).origin} gave has another fingerprint (${found.toString('hex')}). Somebody else may be answering.`,
  );
}

function parsed(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new ProvisioningError('ca-bad-answer', 'The root that step-ca gave cannot be read.', {
      cause: error,
    });
  }
}
