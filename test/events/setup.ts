import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { EventRouter, type EventRouterOptions } from '#aiwgd/events/event-router.js';
import type { Log } from '#aiwgd/platform/log.js';
import { FakeClock } from './fake-clock.js';

export interface LogLine {
  level: 'debug' | 'info' | 'warn' | 'error';
  fields: Record<string, unknown>;
  message: string;
}

/** A log that remembers what was written at info and above. */
export class LogRecorder implements Log {
  readonly lines: LogLine[] = [];
  debug(): void {}
  info(fields: object, message: string): void {
    this.#add('info', fields, message);
  }
  warn(fields: object, message: string): void {
    this.#add('warn', fields, message);
  }
  error(fields: object, message: string): void {
    this.#add('error', fields, message);
  }
  #add(level: LogLine['level'], fields: object, message: string): void {
    this.lines.push({ level, fields: { ...fields }, message });
  }
}

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'aiwgd-events-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface Bench {
  router: EventRouter;
  clock: FakeClock;
  log: LogRecorder;
  directory: string;
}

/** A router on a clock of the test, with no jitter (`random` in the middle). */
export function makeRouter(options: Partial<EventRouterOptions> = {}): Bench {
  const clock = (options.clock as FakeClock | undefined) ?? new FakeClock();
  const log = (options.log as LogRecorder | undefined) ?? new LogRecorder();
  const directory = options.directory ?? temporaryFolder();
  const router = new EventRouter({ random: () => 0.5, ...options, directory, clock, log });
  onTestFinished(async () => {
    const closing = router.close({ graceMs: 0 });
    await clock.advance(0);
    await closing;
  });
  return { router, clock, log, directory };
}

export function newEvent(type: string, payload: Record<string, unknown> = {}) {
  return { type, source: 'test', payload };
}
