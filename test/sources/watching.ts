import { lstatSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { onTestFinished } from 'vitest';
import { StateDatabase } from '#aiwgd/database/state-database.js';
import { systemClock } from '#aiwgd/platform/clock.js';
import type { WatchConfig } from '#aiwgd/protocol/config/config-schema.js';
import { watchSchema } from '#aiwgd/protocol/config/source-sections.js';
import type { AiwgEvent, NewEvent } from '#aiwgd/protocol/event.js';
import { FileWatcher, type FileWatcherOptions } from '#aiwgd/sources/watch/file-watcher.js';
import { tempFolder, until } from '../support/temp.js';

export const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** The section `watch` as the schema fills it in. */
export function watchConfig(section: object = {}): WatchConfig {
  return v.parse(watchSchema, { paths: ['.'], debounce_ms: 30, ...section });
}

/** A project in a folder of its own, its database, and what was reported. */
export class Watching {
  readonly root = tempFolder();
  readonly databasePath = join(tempFolder(), 'state.db');
  readonly events: AiwgEvent[] = [];
  readonly faults = new Map<string, Error>();
  /** Thrown by the next calls of `publish`, while it is set. */
  failure: Error | undefined;
  watcher: FileWatcher | undefined;
  db: StateDatabase | undefined;

  /** Begins watching; a watcher from before is closed. */
  async start(section: object = {}, more: Partial<FileWatcherOptions> = {}): Promise<FileWatcher> {
    if (this.watcher === undefined) onTestFinished(() => this.stop());
    await this.stop();
    this.db = new StateDatabase({ path: this.databasePath, clock: systemClock, log: silent });
    this.watcher = new FileWatcher({
      root: this.root,
      config: watchConfig(section),
      db: this.db,
      clock: systemClock,
      log: silent,
      publish: (event) => this.#publish(event),
      onFault: (code, error) => {
        if (error === undefined) this.faults.delete(code);
        else this.faults.set(code, error);
      },
      ...more,
    });
    await this.watcher.start();
    return this.watcher;
  }

  async stop(): Promise<void> {
    await this.watcher?.close();
    this.db?.close();
    this.db = undefined;
  }

  path(path: string): string {
    return join(this.root, path);
  }

  write(path: string, content = 'x'): void {
    mkdirSync(dirname(this.path(path)), { recursive: true });
    writeFileSync(this.path(path), content);
  }

  /** The reports as `create a/b`, sorted. */
  get reports(): string[] {
    return this.events.map(reportOf).toSorted();
  }

  clear(): void {
    this.events.length = 0;
  }

  /** Waits until these and no others have been reported, with a last change that proves that nothing more is to come. */
  async expectReports(expected: string[]): Promise<void> {
    const sorted = expected.toSorted();
    await until(
      `${JSON.stringify(sorted)}, but got ${JSON.stringify(this.reports.slice(0, 50))}`,
      () => this.events.length >= sorted.length,
    ).catch(() => undefined);
    await this.settle();
    const { expect } = await import('vitest');
    expect(this.reports).toEqual(sorted);
  }

  /** Everything that was done before this has been reported when it resolves. */
  async settle(): Promise<void> {
    await until('nothing waits any more', () => this.watcher?.status().waiting === 0);
    // Events of the kernel that are on their way come in the next turns of the event loop.
    const debounce = 80;
    await new Promise((resolve) => setTimeout(resolve, debounce));
    await until('nothing waits any more', () => this.watcher?.status().waiting === 0);
  }

  #publish(event: NewEvent): AiwgEvent {
    if (this.failure !== undefined) throw this.failure;
    const taken = { ...event, id: String(this.events.length), timestamp: new Date().toISOString() };
    this.db?.afterCommit(() => this.events.push(taken));
    return taken;
  }
}

export function reportOf({ type, payload }: NewEvent): string {
  return `${type.replace('file.', '')} ${String(payload['path'])}`;
}

/** Waits until a file was last changed so long ago that no clock of the kernel takes what comes next for the same moment. */
export async function older(path: string): Promise<void> {
  await until(`${path} is older`, () => Date.now() - lstatSync(path).ctimeMs > 100);
}
