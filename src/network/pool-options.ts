/** How undici keeps connections, whoever is at the other end. */
export function poolOptions(deadlineMs: number) {
  return {
    // On HTTP/2 a server may give back a request it has not begun, and undici would send it again.
    allowH2: false,
    // The deadline of each exchange is the stricter one.
    headersTimeout: deadlineMs * 2,
    bodyTimeout: deadlineMs * 2,
  } as const;
}
