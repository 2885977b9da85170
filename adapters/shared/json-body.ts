/** An answer's JSON; undefined when it is none, which no schema takes and the caller so reports. */
export function jsonBody(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}
