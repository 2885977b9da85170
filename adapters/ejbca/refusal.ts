/**
 * Whether a refusal speaks of this one request: its names or its key. Everything else (a profile or CA that
 * does not exist, a right that is missing) would meet every request, and an administrator mends it.
 */
export function isAboutRequest(words: string): boolean {
  if (/does ?n[o']t exist|not found|no such|not authorized|profile with/i.test(words)) return false;
  return /\bDN\b|subject|altname|alternative name|public key|key (type|length|size|spec|algorithm)|wrong number of|same key|already exists for another user/i.test(
    words,
  );
}
