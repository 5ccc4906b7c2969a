import { type LookupAddress, promises } from 'node:dns';
import { isIP } from 'node:net';
import { hideSecrets } from '../protocol/config/secrets.js';
import { messageOf } from '../protocol/errors.js';
import { isPrivateAddress } from './private-address.js';
import { WebhookError } from './webhook-error.js';

/** Every address of a name. */
export type Resolve = (name: string) => Promise<LookupAddress[]>;

/** As the system resolves names: the hosts file counts too. */
export const systemResolve: Resolve = (name) => promises.lookup(name, { all: true, verbatim: true });

/** The URL as far as it may be shown: some services keep their secret in the path, many in the query. */
export function shownUrl(url: URL): string {
  return hideSecrets(`${url.origin}${url.pathname}`);
}

/** Throws a `WebhookError` for what is no URL of a webhook. */
export function parseTarget(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/u.test(url.protocol)) {
    throw new WebhookError('The URL of the webhook must begin with https:// or http://', {
      retryable: false,
    });
  }
  if (url.username !== '' || url.password !== '') {
    throw new WebhookError(`The webhook ${shownUrl(url)} must not have a user or password in its URL`, {
      retryable: false,
    });
  }
  return url;
}

/**
 * The addresses to connect to: all that the name has now, once and for this request. Throws a `WebhookError` where the
 * name has none, or where one of them is private and that is not allowed.
 */
export async function addressesOf(
  url: URL,
  { allowPrivate, resolve }: { allowPrivate: boolean; resolve: Resolve },
): Promise<LookupAddress[]> {
  const name = url.hostname.replace(/^\[(.*)\]$/u, '$1');
  const family = isIP(name);
  const addresses = family === 0 ? await lookUp(url, name, resolve) : [{ address: name, family }];
  const refused = allowPrivate ? undefined : addresses.find(({ address }) => isPrivateAddress(address));
  if (refused === undefined) return addresses;
  const { address } = refused;
  const which = address === name ? address : `${name} has the address ${address}, which`;
  throw new WebhookError(
    `The webhook ${shownUrl(url)} was not sent: ${which} belongs to this machine or a private network. ` +
      'If it is meant to, set "allow_private": true in the action.',
    { retryable: false },
  );
}

async function lookUp(url: URL, name: string, resolve: Resolve): Promise<LookupAddress[]> {
  let addresses: LookupAddress[];
  try {
    addresses = await resolve(name);
  } catch (cause) {
    const message = `The webhook ${shownUrl(url)} was not sent: no address was found for ${name} (${messageOf(cause)})`;
    throw new WebhookError(message, { retryable: true, cause });
  }
  if (addresses.length > 0) return addresses;
  throw new WebhookError(`The webhook ${shownUrl(url)} was not sent: ${name} has no address`, {
    retryable: true,
  });
}
