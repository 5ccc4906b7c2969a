import type { IncomingHttpHeaders } from 'node:http';
import { messageOf } from '../../protocol/errors.js';
import { Refusal } from './refusal.js';

/** Deeper than any real payload, and shallow enough for whoever walks through it by recursion. */
const MAX_DEPTH = 64;

/**
 * What a body says: JSON as its value (also in the form field `payload`, as GitHub can send it), nothing as null, all
 * else as text. Throws a `Refusal` for what claims to be JSON and is not, or is nested too deeply.
 */
export function readContent(body: Buffer, headers: IncomingHttpHeaders): unknown {
  if (body.length === 0) return null;
  const type = (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (type === 'application/json' || type.endsWith('+json')) return parseJson(decode(body));
  if (type === 'application/x-www-form-urlencoded') {
    const text = decode(body);
    const payload = new URLSearchParams(text).get('payload');
    return payload === null ? text : parseJson(payload);
  }
  return body.toString('utf8');
}

/** The parameters of a query; of one that is given several times, the last. */
export function readQuery(query: string): Record<string, string> {
  const parameters: Record<string, string> = {};
  for (const [name, value] of new URLSearchParams(query)) {
    if (name !== '__proto__') parameters[name] = value;
  }
  return parameters;
}

function decode(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    throw new Refusal(400, 'The body is not UTF-8');
  }
}

function parseJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // The reason quotes the body, which only goes back to whoever sent and signed it.
    throw new Refusal(400, `The body is not JSON: ${messageOf(error)}`);
  }
  tame(value);
  return value;
}

/** Refuses what is too deep, and takes out the one key by which a copy of an object could get another prototype. */
function tame(root: unknown): void {
  let level: object[] = isObject(root) ? [root] : [];
  for (let depth = 1; level.length > 0; depth += 1) {
    if (depth > MAX_DEPTH) throw new Refusal(400, `The JSON is nested more than ${MAX_DEPTH} levels deep`);
    const next: object[] = [];
    for (const one of level) {
      if (Object.hasOwn(one, '__proto__')) Reflect.deleteProperty(one, '__proto__');
      for (const member of Object.values(one)) if (isObject(member)) next.push(member);
    }
    level = next;
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
