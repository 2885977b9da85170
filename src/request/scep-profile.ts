import type { SubjectAltName } from '../x509/alt-name-form.ts';

/** The certificate that a SCEP profile of the Admin console asks for, as it comes with the process. */
export interface ScepProfile {
  readonly certificateTemplateName?: string;
  readonly subjectCommonName?: string;
  readonly organization?: string;
  readonly organizationalUnits: readonly string[];
  readonly locality?: string;
  readonly state?: string;
  readonly country?: string;
  readonly keyUsages: readonly ('SIGNING' | 'KEY_ENCIPHERMENT')[];
  readonly subjectAltNames: readonly SubjectAltName[];
}
