import { existsSync } from 'node:fs';
import type { Clock } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import { messageOf } from '../protocol/errors.js';
import type { ProjectPaths } from '../protocol/project-paths.js';
import { importOriginal, keepDamagedTasksFile } from '../tasks/import-original.js';
import { openSqliteTaskStore } from '../tasks/sqlite/sqlite-task-store.js';
import type { StoreThread } from '../tasks/sqlite/store-thread.js';
import type { StoredTask, TaskStore } from '../tasks/task-store.js';
import type { HealthRegister } from './health.js';

export interface OpenTasksOptions {
  paths: ProjectPaths;
  clock: Clock;
  log: Log;
  health: HealthRegister;
  /** Prepared for the database of these paths. */
  thread: StoreThread;
}

export interface OpenedTasks {
  store: TaskStore;
  /** The store was begun anew: agents of an earlier one may still run, and it knows nothing of them. */
  begunAnew: boolean;
}

/**
 * Opens the task store. Where it has never held a task (there was no database yet, or a damaged one that is kept aside,
 * or an emptied one, or the first start was cut off), the tasks of `tasks.json` are taken over: those of the original
 * program, or the newest ones of our own export. Throws the store's error when it cannot take them; `tasks.json` is
 * then as it was, and the next start tries again.
 */
export async function openTasks(options: OpenTasksOptions): Promise<OpenedTasks> {
  const { paths, clock, log, health, thread } = options;
  const existed = existsSync(paths.database);
  const { store, damaged, unused } = await openSqliteTaskStore({
    path: paths.database,
    clock,
    log,
    thread,
    onFault: (message) => {
      if (message === undefined) {
        health.clear('tasks.store');
        log.info({}, 'The task store is written again');
      } else if (health.raise('tasks.store', message)) {
        log.error({}, message);
      }
    },
    onRescued: (message) => health.raise('database_gone', message),
  });
  if (!unused) return { store, begunAnew: false };
  const taken = existsSync(paths.tasksExport) ? await takeOver(store, options) : 0;
  if (taken > 0) log.info({ tasks: taken, file: paths.tasksExport }, 'tasks taken over from tasks.json');
  if (damaged !== null) {
    health.raise(
      'database_damaged',
      `The task database was damaged. It is kept as ${damaged}; a new one was begun with ${taken} tasks from tasks.json.`,
    );
    log.error({ kept: damaged, tasks: taken }, 'task database damaged');
  } else if (existed && taken > 0) {
    health.raise('database_empty', `The task database was empty; ${taken} tasks were taken from tasks.json.`);
    log.error({ tasks: taken }, 'task database empty');
  }
  return { store, begunAnew: true };
}

async function takeOver(
  store: TaskStore,
  { paths, clock, log, health }: Omit<OpenTasksOptions, 'thread'>,
): Promise<number> {
  const file = paths.tasksExport;
  let tasks: StoredTask[];
  try {
    tasks = await importOriginal(file);
  } catch (error) {
    const kept = await keepDamagedTasksFile(file, clock.now());
    health.raise('tasks_json_damaged', `${messageOf(error)} The file is kept as ${kept}.`);
    log.error({ err: error, kept }, 'tasks.json damaged');
    return 0;
  }
  try {
    return await store.import(tasks);
  } catch (error) {
    await store[Symbol.asyncDispose]();
    throw error;
  }
}
