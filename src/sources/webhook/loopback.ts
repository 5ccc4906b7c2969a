import { BlockList, isIP } from 'node:net';

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/** Whether an address can only be reached from this machine. */
export function isLoopback(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && LOOPBACK.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

/**
 * Whether the `Host` of a request names this machine as only itself can: a page whose name was made to lead to
 * loopback (DNS rebinding) still shows its own name here. `also` is the configured host.
 */
export function namesLoopback(host: string | undefined, also: string): boolean {
  if (host === undefined) return false;
  const bracketed = /^\[([^\]]*)\](?::\d*)?$/u.exec(host)?.[1];
  const name = (bracketed ?? host.replace(/:\d*$/u, '')).toLowerCase();
  return name === 'localhost' || name === also.toLowerCase() || isLoopback(name);
}

/** An address and port as they stand in a URL. */
export function hostAndPort(host: string, port: number): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}
