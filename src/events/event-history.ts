import { join } from 'node:path';
import type { Clock } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import type { AiwgEvent } from '../protocol/event.js';
import { topicMatcher } from '../protocol/topic.js';
import { DelayedWriter, type OnFault } from './delayed-writer.js';
import { recorded } from './event-size.js';
import { Fifo } from './fifo.js';
import { SegmentFile } from './segment-file.js';

/** Events that survive a restart. */
const HISTORY_EVENTS = 1000;
/** Bytes of JSON of a segment on disk, and about the memory for the events held. */
const MAX_SEGMENT_BYTES = 16 * 1024 * 1024;
/** Above this an event is turned into JSON at once, so that its true size is known. */
const MEASURE_ABOVE_BYTES = 64 * 1024;

/**
 * Live hints that are worth nothing later and would push out all else: they are delivered, but not kept in the history.
 * (The output of tasks is in files of its own.)
 */
const LIVE_TOPICS: ReadonlySet<string> = new Set(['task:output', 'task:progress']);

export interface EventHistoryOptions {
  /** Folder of `history.jsonl` and `history.jsonl.1`. */
  directory: string;
  clock: Clock;
  log: Log;
  /** Told once when writing begins to fail (the events stay in memory), and with null when it works again. */
  onFault?: OnFault;
}

export interface HistoryQuery {
  /** Glob over topics. */
  topic?: string;
  /** Events at most, the newest of those that match; all where not given. */
  limit?: number;
  /** Id of an event: only what came before it. */
  before?: string;
}

interface Kept {
  event: AiwgEvent;
  bytes: number;
}

/**
 * The last 1000 events, in memory and on disk. They survive a restart, and a kill but for its last second: what is new
 * is appended in one write at most a second later. Two files take turns, each at most 1000 lines and 16 MiB. When the
 * disk is full the events stay in memory, and are written as soon as there is room.
 */
export class EventHistory {
  readonly #log: Log;
  readonly #writer: DelayedWriter;
  readonly #file: SegmentFile;
  readonly #kept = new Fifo<Kept>();
  #bytes = 0;
  /** How many of the newest events are not on disk yet. */
  #unwritten = 0;
  #closed = false;

  constructor(options: EventHistoryOptions) {
    this.#log = options.log;
    this.#file = new SegmentFile(join(options.directory, 'history.jsonl'), {
      maxLines: HISTORY_EVENTS,
      maxBytes: MAX_SEGMENT_BYTES,
    });
    this.#writer = new DelayedWriter({
      clock: options.clock,
      log: options.log,
      what: 'The event history',
      file: this.#file.path,
      write: () => this.#write(),
      onFault: options.onFault,
    });
    this.#load();
  }

  /** The newest event, or undefined. */
  get newest(): AiwgEvent | undefined {
    return this.#kept.last?.event;
  }

  /** Keeps `event`, whose rough size is `bytes`. The event must not be changed afterwards. */
  add(event: AiwgEvent, bytes: number): void {
    if (this.#closed || LIVE_TOPICS.has(event.type)) return;
    if (bytes > MEASURE_ABOVE_BYTES) {
      const record = recorded(event);
      this.#keep(record.event, record.json.length);
    } else {
      this.#keep(event, bytes);
    }
    this.#unwritten = Math.min(this.#unwritten + 1, this.#kept.size);
    this.#writer.touch();
  }

  /** Matching events, oldest first. */
  query(query: HistoryQuery = {}): AiwgEvent[] {
    const { topic, limit, before } = query;
    const matches = topicMatcher(topic ?? '*');
    const found: AiwgEvent[] = [];
    for (const { event } of this.#kept) {
      // Ids sort by time, so this also holds for an event that is not in the history (any more).
      if (before !== undefined && event.id >= before) break;
      if (matches(event.type)) found.push(event);
    }
    return limit === undefined ? found : found.slice(Math.max(0, found.length - limit));
  }

  /** Writes what is new; later events are not kept. Never throws. */
  close(): void {
    this.#closed = true;
    this.#writer.close();
  }

  #write(): void {
    this.#file.append(this.#newLines());
    this.#unwritten = 0;
  }

  #keep(event: AiwgEvent, bytes: number): void {
    this.#kept.push({ event, bytes });
    this.#bytes += bytes;
    while (this.#kept.size > HISTORY_EVENTS || this.#bytes > MAX_SEGMENT_BYTES) {
      this.#bytes -= this.#kept.shift()?.bytes ?? 0;
    }
  }

  #newLines(): string[] {
    const lines: string[] = [];
    let passed = this.#kept.size - this.#unwritten;
    for (const { event } of this.#kept) {
      if (passed > 0) passed -= 1;
      else lines.push(recorded(event).json);
    }
    return lines;
  }

  #load(): void {
    let damaged = 0;
    try {
      for (const line of this.#file.read()) {
        const event = parseEvent(line);
        if (event === undefined) damaged += 1;
        else this.#keep(event, line.length);
      }
    } catch (error) {
      this.#log.error(
        { err: error, file: this.#file.path },
        'The event history cannot be read; it begins empty',
      );
    }
    if (damaged > 0) {
      this.#log.warn(
        { damaged, file: this.#file.path },
        'Damaged lines of the event history were passed over',
      );
    }
  }
}

/** The event in a line of the file, or undefined where it is torn or damaged. */
function parseEvent(line: string): AiwgEvent | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isEvent(value) ? value : undefined;
  } catch {
    // Not JSON: the caller counts it.
    return undefined;
  }
}

/** Whether `value`, read from a file, is an event. */
export function isEvent(value: unknown): value is AiwgEvent {
  if (typeof value !== 'object' || value === null) return false;
  const { id, type, source, timestamp, payload } = value as Partial<Record<keyof AiwgEvent, unknown>>;
  return (
    [id, type, source, timestamp].every((text) => typeof text === 'string') &&
    typeof payload === 'object' &&
    payload !== null
  );
}
