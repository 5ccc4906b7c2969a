import { existsSync } from 'node:fs';
import type { Clock } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import { messageOf } from '../protocol/errors.js';
import type { ProjectPaths } from '../protocol/project-paths.js';
import { DamagedTasksFileError, importOriginal, keepDamagedTasksFile } from '../tasks/import-original.js';
import { openSqliteTaskStore } from '../tasks/sqlite/sqlite-task-store.js';
import type { StoreThread } from '../tasks/sqlite/store-thread.js';
import { seqOf } from '../tasks/task-id.js';
import type { TaskStore } from '../tasks/task-store.js';
import { newestExported } from '../tasks/tasks-export.js';
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
  const { store, damaged, newest } = await openSqliteTaskStore({
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
  const exported = existsSync(paths.tasksExport);
  if (newest !== null) {
    const missing = exported ? await takeMissing(store, newest, options) : 0;
    return { store, begunAnew: missing > 0 };
  }
  const taken = exported ? await takeOver(store, options) : 0;
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

type TakeOptions = Omit<OpenTasksOptions, 'thread'>;

/**
 * A database that is behind its own copy has lost its newest commits: its -wal was removed or damaged, or it comes from
 * a backup. Takes the tasks that it does not know and answers how many.
 */
async function takeMissing(store: TaskStore, newest: number, options: TakeOptions): Promise<number> {
  const { paths, log, health } = options;
  const exported = await newestExported(paths.tasksExport);
  if (exported === null || exported <= newest) return 0;
  const taken = await takeOver(store, options, newest);
  const message = `The task database lacked its newest tasks; ${taken} were taken from tasks.json.`;
  health.raise('database_behind', message);
  log.error({ tasks: taken }, message);
  return taken;
}

/** Takes the tasks of `tasks.json` with numbers above `above`. */
async function takeOver(
  store: TaskStore,
  { paths, clock, log, health }: TakeOptions,
  above = -1,
): Promise<number> {
  const file = paths.tasksExport;
  try {
    const tasks = await importOriginal(file);
    return await store.import(tasks.filter(({ id }) => (seqOf(id) ?? 0) > above));
  } catch (error) {
    if (!(error instanceof DamagedTasksFileError)) {
      await store[Symbol.asyncDispose]();
      throw error;
    }
    const kept = await keepDamagedTasksFile(file, clock.now());
    health.raise('tasks_json_damaged', `${messageOf(error)} The file is kept as ${kept}.`);
    log.error({ err: error, kept }, 'tasks.json damaged');
    return 0;
  }
}
