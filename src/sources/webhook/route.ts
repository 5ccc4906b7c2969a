import type { IncomingMessage } from 'node:http';
import type { WebhookConfig } from '../../protocol/config/config-schema.js';
import { namesLoopback } from './loopback.js';
import { Refusal } from './refusal.js';

const HEALTH_PATH = '/health';
const HEALTH_METHODS = ['GET', 'HEAD'];

export interface Route {
  /** `health` needs no signature. */
  kind: 'health' | 'endpoint';
  method: string;
  path: string;
  query: string;
}

/**
 * Where a request leads. Throws a `Refusal` for a web page that sends it (403: pages can reach this machine, but have no
 * business here), for an unknown path (404) and for a method that the path does not take (405).
 */
export function route(
  { method = '', url = '', headers }: IncomingMessage,
  { endpoints, host }: Pick<WebhookConfig, 'endpoints' | 'host'>,
  { onLoopback }: { onLoopback: boolean },
): Route {
  if (headers.origin !== undefined) throw new Refusal(403, 'Web pages are not served');
  if (onLoopback && !namesLoopback(headers.host, host)) {
    throw new Refusal(403, 'The header Host must name this machine: localhost, or a loopback address');
  }
  const [path, query] = cut(url);
  if (path === HEALTH_PATH && HEALTH_METHODS.includes(method)) return { kind: 'health', method, path, query };
  const methods: string[] = endpoints.filter((endpoint) => endpoint.path === path).map((one) => one.method);
  if (methods.includes(method)) return { kind: 'endpoint', method, path, query };
  if (path === HEALTH_PATH) methods.push(...HEALTH_METHODS);
  if (methods.length === 0) throw new Refusal(404, 'There is no such path');
  throw new Refusal(405, 'The path does not take this method', { Allow: [...new Set(methods)].join(', ') });
}

function cut(url: string): [path: string, query: string] {
  const mark = url.indexOf('?');
  return mark < 0 ? [url, ''] : [url.slice(0, mark), url.slice(mark + 1)];
}
