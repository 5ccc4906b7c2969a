import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { systemClock } from '#aiwgd/platform/clock.js';
import type { Log } from '#aiwgd/platform/log.js';
import { openSqliteTaskStore } from '#aiwgd/tasks/sqlite/sqlite-task-store.js';

export const noLog: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** A folder that lives as long as the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'aiwgd-tasks-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** An SQLite store in `folder` that is closed with the test. */
export async function openStore(folder: string, clock = systemClock, onRescued?: (message: string) => void) {
  const opened = await openSqliteTaskStore({
    path: join(folder, 'tasks.db'),
    clock,
    log: noLog,
    ...(onRescued === undefined ? {} : { onRescued }),
  });
  onTestFinished(() => opened.store[Symbol.asyncDispose]());
  return opened;
}
