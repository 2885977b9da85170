/*
 * Hosts as URLs have them.
 */

/** Whether a host (URL.hostname) is this machine, so that nothing leaves it. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}

/** An IPv6 address as everything but a URL writes it. */
export function withoutBrackets(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, '$1');
}

/** The port of a URL, or of undici's parts of one. */
export function portOf({ port, protocol }: Readonly<Record<'port' | 'protocol', string>>): number {
  return Number(port || (protocol === 'https:' ? 443 : 80));
}
