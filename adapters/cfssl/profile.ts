import { z } from 'zod';
import { ProvisioningError } from '../../src/errors.ts';
import type { RequestedCertificate } from '../../src/request/requested-certificate.ts';
import { extendedKeyUsageOids, formatExtendedKeyUsage } from '../../src/x509/usages.ts';

/** What /info says about a profile (cfssl doc/api/endpoint_info.txt). */
export const profileInfo = z.object({
  /** The CA's certificate, PEM. */
  certificate: z.string(),
  usages: z
    .array(z.string())
    .nullish()
    .transform((usages) => usages ?? []),
  /** A Go duration, "8760h". */
  expiry: z.string().optional(),
});

export type ProfileInfo = z.output<typeof profileInfo>;

/** cfssl's words for extended key usages (config/config.go, ExtKeyUsage). */
const usageWords: Readonly<Record<string, string>> = {
  any: extendedKeyUsageOids.anyExtendedKeyUsage,
  'server auth': extendedKeyUsageOids.serverAuth,
  'client auth': extendedKeyUsageOids.clientAuth,
  'code signing': extendedKeyUsageOids.codeSigning,
  'email protection': extendedKeyUsageOids.emailProtection,
  's/mime': extendedKeyUsageOids.emailProtection,
  'ipsec end system': extendedKeyUsageOids.ipsecEndSystem,
  'ipsec tunnel': extendedKeyUsageOids.ipsecTunnel,
  'ipsec user': extendedKeyUsageOids.ipsecUser,
  timestamping: extendedKeyUsageOids.timeStamping,
  'ocsp signing': extendedKeyUsageOids.ocspSigning,
};

/**
 * cfssl signs under its default profile, without a word, when it does not know the one that is named. What
 * /info says about the profile must therefore fit before anything is ordered.
 *
 * @throws {ProvisioningError} `ca-misconfigured`
 */
export function refuseWrongProfile(
  info: ProfileInfo,
  wanted: RequestedCertificate,
  { profile, expiryHours }: { readonly profile: string; readonly expiryHours: number | undefined },
): void {
  const granted = new Set(info.usages.map((word) => usageWords[word.toLowerCase()]));
  const missing = wanted.extendedKeyUsages.filter((oid) => !granted.has(oid));
  if (missing.length > 0) {
    throw new ProvisioningError(
      'ca-misconfigured',
      `cfssl's profile "${profile}" gives ${info.usages.join(', ') || 'no usages'}, not ${missing.map(formatExtendedKeyUsage).join(', ')}. ${hint}`,
    );
  }
  const hours = info.expiry === undefined ? undefined : hoursOf(info.expiry);
  if (expiryHours !== undefined && hours !== undefined && hours !== expiryHours) {
    throw new ProvisioningError(
      'ca-misconfigured',
      `cfssl's profile "${profile}" gives ${info.expiry}, not ${expiryHours} hours. ${hint}`,
    );
  }
}

const hint =
  'A profile that cfssl does not know is answered with its default one: compare the name with its configuration.';

/** Hours of a Go duration such as "8760h" or "1h30m0s"; undefined when it is none. */
function hoursOf(duration: string): number | undefined {
  const match = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(duration);
  if (match === null || duration === '') return undefined;
  const [, hours = 0, minutes = 0, seconds = 0] = match;
  return Number(hours) + Number(minutes) / 60 + Number(seconds) / 3_600;
}
