import type {
  CertificateAuthority,
  Collected,
  IssueRequest,
} from '../../src/plug-in/certificate-authority.ts';
import type { Opaque } from '../../src/plug-in/opaque.ts';

/** Asks after a pending order a CA that is expected to leave orders pending. */
export async function collectFrom(
  authority: CertificateAuthority,
  ticket: Opaque,
  order: IssueRequest,
  signal: AbortSignal,
): Promise<Collected> {
  if (authority.collect === undefined) throw new Error(`${authority.kind} has no collect().`);
  return authority.collect(ticket, order, signal);
}
