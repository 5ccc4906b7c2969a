import type { AiwgEvent } from '../protocol/event.js';

/** Largest event, in bytes of JSON, that history and dead letters keep whole. */
export const MAX_RECORDED_BYTES = 256 * 1024;

/** Above this an event counts as large, and what waits of large events is bounded by size too. */
export const LARGE_EVENT_BYTES = 4 * 1024;

/** What a number, a boolean or the frame of a member takes, about. */
const SMALL_VALUE = 8;

/** Roughly the memory that `value` holds, in bytes; stops counting once it is past `limit`, so it is always quick. */
export function roughSize(value: unknown, limit: number): number {
  let size = 0;
  const open: unknown[] = [value];
  while (open.length > 0 && size <= limit) {
    const item = open.pop();
    size += SMALL_VALUE;
    if (typeof item === 'string') size += item.length;
    else if (Array.isArray(item)) size += openMembers(open, item, limit - size);
    else if (typeof item === 'object' && item !== null) {
      for (const key in item) {
        size += key.length;
        open.push((item as Record<string, unknown>)[key]);
      }
    }
  }
  return size;
}

/** An array that is past the limit by its length alone is not opened. */
function openMembers(open: unknown[], items: unknown[], limit: number): number {
  if (items.length * SMALL_VALUE > limit) return items.length * SMALL_VALUE;
  for (const item of items) open.push(item);
  return 0;
}

/** An event as it is kept on disk, with its line of JSON. */
export interface RecordedEvent {
  event: AiwgEvent;
  /** JSON without a line break. */
  json: string;
  /** Whether the payload is the real one. */
  whole: boolean;
}

function withoutPayload(event: AiwgEvent, payload: Record<string, unknown>): RecordedEvent {
  const small = { ...event, payload };
  return { event: small, json: JSON.stringify(small), whole: false };
}

/**
 * What of an event is kept: all of it, or for one over 256 KiB the envelope with the payload
 * `{truncated: true, bytes}`. A payload that is not JSON (a cycle, a BigInt) becomes `{unwritable: <reason>}`.
 */
export function recorded(event: AiwgEvent): RecordedEvent {
  let json: string;
  try {
    json = JSON.stringify(event);
  } catch (error) {
    return withoutPayload(event, { unwritable: error instanceof Error ? error.message : String(error) });
  }
  const bytes = Buffer.byteLength(json);
  if (bytes <= MAX_RECORDED_BYTES) return { event, json, whole: true };
  return withoutPayload(event, { truncated: true, bytes });
}
