import type { EventSketch } from '../../protocol/automation.js';
import type { AiwgEvent } from '../../protocol/event.js';
import { FILE_SOURCE, TIME_SOURCE, TIME_TOPIC } from './triggers.js';

/** Who publishes events of these types; all others may come from anybody. */
function sourceOf(type: string): string {
  if (/^file\.(create|modify|delete)$/.test(type)) return FILE_SOURCE;
  if (type === TIME_TOPIC) return TIME_SOURCE;
  if (type.startsWith('task:')) return 'supervisor';
  return type.startsWith('webhook.') ? 'webhook' : 'rpc';
}

/** The event that a person has sketched for a dry run; what is left out is as it would be if it happened now. */
export function eventOfSketch(sketch: EventSketch, now: number): AiwgEvent {
  return {
    id: 'sketch',
    source: sourceOf(sketch.type),
    timestamp: new Date(now).toISOString(),
    payload: {},
    ...sketch,
  };
}
