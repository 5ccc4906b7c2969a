import { existsSync } from 'node:fs';
import { reapStrays } from '../agents/process-tree.js';
import type { Clock } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import { messageOf } from '../protocol/errors.js';
import type { ProjectPaths } from '../protocol/project-paths.js';
import { importOriginal, keepDamagedTasksFile } from '../tasks/import-original.js';
import { openSqliteTaskStore } from '../tasks/sqlite/sqlite-task-store.js';
import type { StoreThread } from '../tasks/sqlite/store-thread.js';
import type { TaskStore } from '../tasks/task-store.js';
import type { HealthRegister } from './health.js';

export interface OpenTasksOptions {
  paths: ProjectPaths;
  clock: Clock;
  log: Log;
  health: HealthRegister;
  /** From SIGTERM to SIGKILL, for what unknown attempts left running. */
  killGraceMs: number;
  /** Prepared for the database of these paths. */
  thread: StoreThread;
}

/**
 * Opens the task store. Where there is no database yet, or the one that was there is damaged (it is kept aside), the
 * tasks of `tasks.json` are taken over: those of the original program, or the newest ones of our own export.
 */
export async function openTasks(options: OpenTasksOptions): Promise<TaskStore> {
  const { paths, clock, log, health, killGraceMs, thread } = options;
  const isNew = !existsSync(paths.database);
  const { store, damaged } = await openSqliteTaskStore({ path: paths.database, clock, log, thread });
  if (!isNew && damaged === null) return store;
  if (damaged !== null) {
    // No store knows the attempts that may still run, and their tasks are about to be run anew.
    const left = await reapStrays({
      projectRoot: paths.root,
      isOurs: () => true,
      graceMs: killGraceMs,
      clock,
    });
    if (left.length > 0) log.error({ pids: left }, 'processes of unknown attempts cannot be ended');
  }
  const taken = existsSync(paths.tasksExport) ? await takeOver(store, options) : 0;
  if (taken > 0) log.info({ tasks: taken, file: paths.tasksExport }, 'tasks taken over from tasks.json');
  if (damaged !== null) {
    health.raise(
      'database_damaged',
      `The task database was damaged. It is kept as ${damaged}; a new one was begun with ${taken} tasks from tasks.json.`,
    );
    log.error({ kept: damaged, tasks: taken }, 'task database damaged');
  }
  return store;
}

async function takeOver(
  store: TaskStore,
  { paths, clock, log, health }: Omit<OpenTasksOptions, 'thread'>,
): Promise<number> {
  const file = paths.tasksExport;
  try {
    return await store.import(await importOriginal(file));
  } catch (error) {
    const kept = await keepDamagedTasksFile(file, clock.now());
    health.raise('tasks_json_damaged', `${messageOf(error)} The file is kept as ${kept}.`);
    log.error({ err: error, kept }, 'tasks.json damaged');
    return 0;
  }
}
