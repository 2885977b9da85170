import type { SubjectAltName } from '../x509/alt-name-form.ts';
import type { DistinguishedName } from '../x509/distinguished-name.ts';
import type { KeyUsage } from '../x509/usages.ts';

/* Who asks, and for what. */

/** Who asks, as Google's record says. The only source of names. */
export type Subject =
  | {
      readonly kind: 'device';
      readonly deviceDirectoryApiId?: string;
      readonly serialNumber?: string;
    }
  | {
      readonly kind: 'user';
      readonly userDirectoryApiId?: string;
      readonly userPrimaryEmail?: string;
      /** Only when the same organisation manages both. */
      readonly deviceDirectoryApiId?: string;
      readonly serialNumber?: string;
    };

export type KeyType = 'rsa' | 'ec';

/** The certificate that the profile asks for. Names are final: templates are expanded. */
export interface RequestedCertificate {
  readonly subject: DistinguishedName;
  readonly subjectAltNames: readonly SubjectAltName[];
  readonly keyUsages: readonly KeyUsage[];
  /** Object identifiers in dots. */
  readonly extendedKeyUsages: readonly string[];
  readonly validityDays: number;
  /** The CA's template or profile name, if the configuration gives one. */
  readonly template?: string;
  /** The SID (S-1-…) of the account, as Microsoft's extension 1.3.6.1.4.1.311.25.2; the CSR has it. */
  readonly securityIdentifier?: string;
}

/** The names of a request. */
export type CsrNames = Pick<RequestedCertificate, 'subject' | 'subjectAltNames'>;
