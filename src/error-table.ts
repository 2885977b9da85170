/*
 * An error says who must act. The table below is the whole list: a test compares docs/run/errors.md with it, and
 * metrics and logs use these codes unchanged.
 */

/**
 * - `retry`: nobody; it passes by itself. Looked at again after a backoff, until the deadline of what it waits for.
 * - `refuse`: the person or the profile. The device is told, the process ends.
 * - `hold`: the operator of the authority. The process waits, other authorities go on; refused only when
 *   the issuing deadline passes.
 */
export type Disposition = 'retry' | 'refuse' | 'hold';

export interface ErrorEntry {
  readonly disposition: Disposition;
  /** Shown on the Chromebook, followed by the code. Short, and without anything a CA said. */
  readonly deviceText: string;
  /** For operators: what happened and what fixes it. */
  readonly meaning: string;
}

const askAdmin = 'Contact your administrator.';

export const errorTable = {
  'google-unavailable': {
    disposition: 'retry',
    deviceText: 'The certificate service could not be reached in time.',
    meaning:
      'Google did not answer (connection error, time-out, 408, 5xx) or gave the call up (409 ABORTED). It passes by itself; if it stays, look at the network, the proxy and Google’s status page.',
  },
  'google-throttled': {
    disposition: 'retry',
    deviceText: 'The certificate service was too busy.',
    meaning:
      'Google answered 429. Its Retry-After is honoured; lower google.requestsPerSecond if it happens often.',
  },
  'google-unauthenticated': {
    disposition: 'retry',
    deviceText: `The certificate service is not set up correctly. ${askAdmin}`,
    meaning:
      'No access token could be had, or Google answered 401. Check google.credentials, and that the key has not been deleted or the clock is not wrong.',
  },
  'google-forbidden': {
    disposition: 'retry',
    deviceText: `The certificate service is not set up correctly. ${askAdmin}`,
    meaning:
      'Google answered 403. Give the service account access to certificate provisioning in the Admin console and enable the Chrome Management API in its project.',
  },
  'google-not-found': {
    disposition: 'retry',
    deviceText: 'The certificate request no longer exists.',
    meaning:
      'Google answered 404, twice with a pause between: the process has gone (device wiped, profile deleted, too old). The process is closed as gone; no action.',
  },
  'google-rejected': {
    disposition: 'refuse',
    deviceText: `The certificate request was not accepted. ${askAdmin}`,
    meaning:
      'Google answered 400 or another 4xx to a call, twice with a pause between, and looking at the process does not explain it. The log line has Google’s words.',
  },
  'google-intercepted': {
    disposition: 'retry',
    deviceText: 'The certificate service could not be reached in time.',
    meaning:
      'Something between us and Google answered in its place: a proxy, a captive portal, a load balancer. What counts as Google’s word is its own error JSON alone. It is waited out and decides nothing; the log line and /readyz have the status and who answered (server, via). Let the machine through, or correct HTTPS_PROXY.',
  },
  'google-bad-answer': {
    disposition: 'retry',
    deviceText: 'The certificate service gave an answer that could not be read.',
    meaning:
      'Google’s answer was JSON, but not the documented one. Check that google.endpoint is right and that no proxy rewrites answers.',
  },
  'process-incomplete': {
    disposition: 'refuse',
    deviceText: `The certificate request is incomplete. ${askAdmin}`,
    meaning:
      'Google’s process lacks something without which it cannot be served (public key, CA connection, profile, or who asks). The log line says what.',
  },
  'authority-unknown': {
    disposition: 'refuse',
    deviceText: `The certificate authority of this profile is not set up. ${askAdmin}`,
    meaning:
      'The CA connection’s reference in the Admin console is not under authorities in config.yaml. Add it there, correct it in the console, or set unmatched: ignore when another adapter serves it. With unmatched: hold (the default) it was held for limits.unmatchedHours first.',
  },
  'profile-unknown': {
    disposition: 'refuse',
    deviceText: `The certificate profile is not set up. ${askAdmin}`,
    meaning:
      'The profile’s reference in the Admin console is not under profiles in config.yaml. Add it there, correct it in the console, or set unmatched: ignore when another adapter serves it. With unmatched: hold (the default) it was held for limits.unmatchedHours first.',
  },
  'key-unsupported': {
    disposition: 'refuse',
    deviceText: `This device’s key type is not supported. ${askAdmin}`,
    meaning:
      'The device’s public key is not RSA of 2048 bits or more and not EC P-256, or the authority does not take this kind of key.',
  },
  'name-empty': {
    disposition: 'refuse',
    deviceText: `A name for the certificate is missing. ${askAdmin}`,
    meaning:
      'A template of the profile expanded to nothing: Google’s record has no value for its variables. Add a fallback (${A:B}) or use the profile for the right kind of subject.',
  },
  'name-invalid': {
    disposition: 'refuse',
    deviceText: `A name for the certificate is not valid. ${askAdmin}`,
    meaning:
      'A name is too long (RFC 5280 upper bounds) or not of its type’s form (a DNS name, an e-mail address, a URI). The log line says which.',
  },
  'name-unresolved': {
    disposition: 'refuse',
    deviceText: `A name for the certificate could not be filled in. ${askAdmin}`,
    meaning:
      'The SCEP profile in the Admin console uses a variable that is not in Google’s record of the process (asset id, location). Use one of the supported variables.',
  },
  'sid-unknown': {
    disposition: 'refuse',
    deviceText: `Your account is not set up for this certificate. ${askAdmin}`,
    meaning:
      'The profile wants a SID in the certificate, and its file (sid.file) has no line for this person or device. Add the line; the device asks again by itself.',
  },
  'sid-file-unusable': {
    disposition: 'retry',
    deviceText: `The certificate service is not set up correctly. ${askAdmin}`,
    meaning:
      'The file of SIDs that a profile names (sid.file) cannot be read, or one of its lines is wrong; the log line says which. Correct it: it is read anew at once, nothing is restarted.',
  },
  'signing-refused': {
    disposition: 'refuse',
    deviceText: 'The device could not prove that it holds its key.',
    meaning:
      'Google ended the signing operation with an error, or did not accept the data to be signed. The device makes a new key and tries again by itself.',
  },
  'signature-invalid': {
    disposition: 'refuse',
    deviceText: 'The device’s proof that it holds its key is not valid.',
    meaning:
      'The signature does not verify against the process’s own public key. No certificate was requested. If one device repeats it, treat the device as compromised or faulty.',
  },
  'signing-timeout': {
    disposition: 'refuse',
    deviceText: 'The device did not answer in time. It will try again.',
    meaning:
      'The device did not sign within limits.signingHours: switched off, or restarted at the wrong moment.',
  },
  'preparation-expired': {
    disposition: 'refuse',
    deviceText: 'The device answered too late for this certificate authority. It will try again.',
    meaning:
      'What the authority wanted inside the request (a one-time challenge) had run out when the device signed, or while orders waited; a device signs only once. Prefer a credential that does not expire.',
  },
  'ca-unavailable': {
    disposition: 'hold',
    deviceText: 'The certificate authority could not be reached in time.',
    meaning:
      'The authority did not answer or answered with a passing error. Nothing is refused until limits.issuingHours; readiness names the authority.',
  },
  'ca-throttled': {
    disposition: 'retry',
    deviceText: 'The certificate authority was too busy.',
    meaning:
      'The authority asked for patience, or its concurrency or requestsPerSecond limit is used up. It passes by itself.',
  },
  'ca-misconfigured': {
    disposition: 'hold',
    deviceText: `The certificate authority is not set up correctly. ${askAdmin}`,
    meaning:
      'The authority refuses our credentials, template or settings. The log line has its words; nothing is refused until limits.issuingHours.',
  },
  'ca-bad-answer': {
    disposition: 'hold',
    deviceText: 'The certificate authority gave an answer that could not be read.',
    meaning:
      'The authority’s answer is not what its protocol promises. The log line says in what way.',
  },
  'ca-rejected': {
    disposition: 'refuse',
    deviceText: `The certificate authority declined this request. ${askAdmin}`,
    meaning:
      'The authority decided against this request for good (policy, an officer’s decision). The log line has its words.',
  },
  'ca-rejecting': {
    disposition: 'hold',
    deviceText: `The certificate authority declined this request. ${askAdmin}`,
    meaning:
      'The authority rejects, but has not issued for this profile since its configuration changed, or rejects one device after the other: more likely a wrong challenge, template or name rule than the devices’ fault. Processes wait and one order a minute is tried. Correct the configuration and restart, or mend it at the authority; refused only when limits.issuingHours has passed.',
  },
  'ca-undecided': {
    disposition: 'retry',
    deviceText: 'The certificate authority did not decide in time.',
    meaning:
      'The order is still pending at the authority (an approval, a queue). Refused with this code when limits.issuingHours has passed.',
  },
  'certificate-unreadable': {
    disposition: 'hold',
    deviceText: `The certificate authority issued an unusable certificate. ${askAdmin}`,
    meaning:
      'What the authority issued is not exactly one X.509 certificate in front of its chain.',
  },
  'certificate-wrong-key': {
    disposition: 'hold',
    deviceText: `The certificate authority issued an unusable certificate. ${askAdmin}`,
    meaning: 'The certificate’s SubjectPublicKeyInfo is not the device’s, byte for byte.',
  },
  'certificate-is-ca': {
    disposition: 'hold',
    deviceText: `The certificate authority issued an unusable certificate. ${askAdmin}`,
    meaning: 'The certificate has basicConstraints CA or may sign certificates.',
  },
  'certificate-not-valid-now': {
    disposition: 'hold',
    deviceText: `The certificate authority issued an unusable certificate. ${askAdmin}`,
    meaning:
      'The certificate is not valid yet or has expired, or its dates make no sense. Compare the clocks.',
  },
  'certificate-too-short': {
    disposition: 'hold',
    deviceText: `The certificate authority issued an unusable certificate. ${askAdmin}`,
    meaning:
      'The certificate is valid for less than a day: the device would renew without end. Raise the validity at the authority.',
  },
  'certificate-wrong-usage': {
    disposition: 'hold',
    deviceText: `The certificate authority issued an unusable certificate. ${askAdmin}`,
    meaning:
      'Key usage or extended key usage is not what the profile asks for, or the certificate has a power that nobody asked for (code signing, enrolment agent, an unknown critical extension). Correct the authority’s template, or list what it may drop under mayDrop, what it may add under mayAdd.',
  },
  'certificate-wrong-names': {
    disposition: 'hold',
    deviceText: `The certificate authority issued an unusable certificate. ${askAdmin}`,
    meaning:
      'Subject or subject alternative names are not what the profile asks for: many CAs replace them without an error. Correct the template, or list what it may drop under mayDrop.',
  },
  'certificate-untrusted': {
    disposition: 'hold',
    deviceText: `The certificate authority issued an unusable certificate. ${askAdmin}`,
    meaning:
      'The certificate does not chain to the authority’s roots, its signature is not by the CA that came with it, or it is signed over SHA-1. Correct roots or the CA, or find out who answered.',
  },
  'certificate-expired-undelivered': {
    disposition: 'refuse',
    deviceText: 'The certificate expired before it could be delivered.',
    meaning: 'Google could not be reached for so long that the certificate expired meanwhile.',
  },
} as const satisfies Record<string, ErrorEntry>;
