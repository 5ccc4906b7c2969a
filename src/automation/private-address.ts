import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';

/** IPv4 that is not the public internet: IANA's registry of special-purpose addresses. */
const PRIVATE_V4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
];
/** Of IPv6 only 2000::/3 is given out for the public internet, and of that not these. */
const PUBLIC_V6 = ['2000::', 3] as const;
const PRIVATE_V6: readonly (readonly [string, number])[] = [
  // Protocol assignments: Teredo, benchmarks, ORCHID.
  ['2001::', 23],
  ['2001:db8::', 32],
  // 6to4 leads to any IPv4 address, private ones too.
  ['2002::', 16],
  ['3fff::', 20],
];

const privateV4 = new BlockList();
for (const [address, bits] of PRIVATE_V4) privateV4.addSubnet(address, bits, 'ipv4');
const publicV6 = new BlockList();
publicV6.addSubnet(...PUBLIC_V6, 'ipv6');
const privateV6 = new BlockList();
for (const [address, bits] of PRIVATE_V6) privateV6.addSubnet(address, bits, 'ipv6');

/** Prefixes of IPv6 addresses that stand for the IPv4 address in their last 32 bits: mapped ones, and NAT64. */
const CARRIES_V4 = /^(?:0:0:0:0:0:ffff|64:ff9b:0:0:0:0):([0-9a-f]{1,4}):([0-9a-f]{1,4})$/u;

/**
 * Whether an address (as the system or a URL writes it) is not one of the public internet, or is one of this very
 * machine: what a webhook must not reach unless it is allowed to. Anything that is no address counts as private.
 */
export function isPrivateAddress(address: string): boolean {
  const bare = address.replace(/%.*$/u, '');
  if (isIPv6(bare)) return isPrivateV6(bare);
  if (!isIPv4(bare)) return true;
  return privateV4.check(bare, 'ipv4') || isOwn(bare);
}

function isPrivateV6(address: string): boolean {
  const carried = CARRIES_V4.exec(inFull(address));
  if (carried !== null) {
    const [high = 0, low = 0] = carried.slice(1).map((part) => Number.parseInt(part, 16));
    return isPrivateAddress([high >> 8, high & 0xff, low >> 8, low & 0xff].join('.'));
  }
  return !publicV6.check(address, 'ipv6') || privateV6.check(address, 'ipv6') || isOwn(address);
}

/** All eight parts in hexadecimal, without leading zeros. */
function inFull(address: string): string {
  // The URL parser knows every way to write one, and answers the shortest.
  const short = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = '', tail] = short.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: tail === undefined ? 0 : 8 - before.length - after.length }, () => '0');
  return [...before, ...zeros, ...after].join(':');
}

/** A public address of this machine reaches what listens on it no less than loopback does. */
function isOwn(address: string): boolean {
  return Object.values(networkInterfaces()).some((list) => list?.some((one) => one.address === address));
}
