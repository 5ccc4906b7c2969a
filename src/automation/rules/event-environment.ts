import type { AiwgEvent } from '../../protocol/event.js';

/** UTF-8 bytes of the longest value that becomes a variable. */
const MAX_VALUE_BYTES = 8_192;
/** Variables made from the payload: the system bounds all of a program's variables together. */
const MAX_VARIABLES = 64;
/** Letters of the longest name, behind the prefix. */
const MAX_KEY_LENGTH = 100;

const PREFIX = 'AIWG_EVENT_';
/** What a key of the payload cannot set; `FILE` names the file with the whole event. */
const FIXED: ReadonlySet<string> = new Set(
  ['ID', 'TYPE', 'SOURCE', 'TIMESTAMP', 'PATH', 'FILE'].map((name) => `${PREFIX}${name}`),
);

/**
 * The event as variables for commands: `AIWG_EVENT_ID`, `_TYPE`, `_SOURCE`, `_TIMESTAMP`, `_PATH` (where it is about a
 * file), and `AIWG_EVENT_<KEY>` for the texts, numbers and truths at the top of its payload. Values that are too long and
 * keys that make no name are left out: the whole event is on stdin.
 * @param files The paths that a debounce has gathered; the first stands for the path of an event that has none.
 */
export function eventEnvironment(event: AiwgEvent, files: readonly string[] = []): Record<string, string> {
  const variables = new Map<string, string>();
  const add = (name: string, value: unknown): void => {
    const text = textOf(value);
    if (text !== undefined && !variables.has(name)) variables.set(name, text);
  };
  add(`${PREFIX}ID`, event.id);
  add(`${PREFIX}TYPE`, event.type);
  add(`${PREFIX}SOURCE`, event.source);
  add(`${PREFIX}TIMESTAMP`, event.timestamp);
  const own = Object.hasOwn(event.payload, 'path') ? event.payload['path'] : undefined;
  add(`${PREFIX}PATH`, typeof own === 'string' ? own : files[0]);
  for (const [key, value] of Object.entries(event.payload)) {
    if (variables.size >= MAX_VARIABLES) break;
    const name = nameOf(key);
    if (name !== undefined) add(name, value);
  }
  return Object.fromEntries(variables);
}

function nameOf(key: string): string | undefined {
  if (key.length > MAX_KEY_LENGTH) return undefined;
  const name = `${PREFIX}${key.toUpperCase().replaceAll(/[^A-Z0-9_]/g, '_')}`;
  return FIXED.has(name) ? undefined : name;
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'string') return undefined;
  const text = value.replaceAll('\0', '');
  return Buffer.byteLength(text) <= MAX_VALUE_BYTES ? text : undefined;
}
