import { BlockList, isIP } from 'node:net';
import { portOf, withoutBrackets } from './host.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** What needs no proxy: an empty variable counts as not set. */
export function exemptions(environment: Environment): string[] {
  const list = environment['no_proxy']?.trim() || environment['NO_PROXY']?.trim() || '';
  return list.split(/[\s,]+/).filter((entry) => entry !== '');
}

/**
 * Whether `no_proxy` names the target: `*`, a name with all below it, `*.name` with only what is below it, an
 * address, a range of addresses (CIDR, RFC 4632), each but the range with a port or without.
 */
export function isExempt(target: URL, environment: Environment): boolean {
  const host = withoutBrackets(target.hostname.replace(/\.$/, ''));
  return exemptions(environment).some((entry) => {
    if (entry === '*') return true;
    if (entry.includes('/')) return isWithin(host, entry);
    const { name, ofPort } = splitPort(entry.toLowerCase());
    if (ofPort !== undefined && Number(ofPort) !== portOf(target)) return false;
    if (isIP(name) !== 0) return isIP(host) !== 0 && isWithin(host, `${name}/${widthOf(name)}`);
    const domain = name.replace(/^\*?\./, '').replace(/\.$/, '');
    if (domain === '') return false;
    return host.endsWith(`.${domain}`) || (host === domain && !name.startsWith('*'));
  });
}

function isWithin(host: string, range: string): boolean {
  const [address = '', width = ''] = range.split('/');
  const network = withoutBrackets(address);
  const isPossible =
    /^\d{1,3}$/.test(width) && isIP(network) !== 0 && Number(width) <= widthOf(network);
  if (!isPossible || isIP(host) === 0) return false;
  const list = new BlockList();
  list.addSubnet(network, Number(width), familyOf(network));
  return list.check(host, familyOf(host));
}

function splitPort(entry: string): { readonly name: string; readonly ofPort?: string } {
  if (isIP(entry) === 6) return { name: entry };
  const [, name = entry, ofPort] = /^(.+):(\d{1,5})$/.exec(entry) ?? [];
  return { name: withoutBrackets(name), ...(ofPort === undefined ? {} : { ofPort }) };
}

function widthOf(address: string): number {
  return isIP(address) === 6 ? 128 : 32;
}

function familyOf(address: string) {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}
