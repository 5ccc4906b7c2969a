import { existsSync, readFileSync } from 'node:fs';
import { parseLock } from '../../ipc/running-daemon.js';
import { bootId, startTimeOf } from '../../platform/process-identity.js';
import { linuxPids, readMarks } from '../../platform/process-table.js';
import type { ProjectPaths } from '../../protocol/project-paths.js';
import type { Task } from '../../protocol/task.js';

/**
 * Whether the project's newest daemon has gone in a way that may have left agents at work: killed, crashed, or told to
 * leave them. To be asked where none runs. After a reboot, and where there never was a task, no agent can be.
 */
export function mayHaveLeftAgents(paths: ProjectPaths): boolean {
  try {
    return (
      parseLock(readFileSync(paths.lock, 'utf8'), paths)?.bootId === bootId() && existsSync(paths.database)
    );
  } catch {
    // No lock: it ended them, or never ran.
    return false;
  }
}

/**
 * Ids of the tasks whose agents the daemon that has gone left at work, as far as can be told without one: of those that
 * `tasks.json` has as not ended, those of which processes live.
 */
export function tasksLeftRunning(paths: ProjectPaths): string[] {
  if (!mayHaveLeftAgents(paths)) return [];
  const tasks = activeTasks(paths);
  if (process.platform !== 'linux')
    return idsOf(tasks.filter(({ pid }) => pid !== null && startTimeOf(pid) !== undefined));
  const atWork = markedTasks(paths.root);
  return idsOf(tasks.filter(({ id }) => atWork.has(id)));
}

function idsOf(tasks: readonly Task[]): string[] {
  return tasks.map(({ id }) => id).toSorted();
}

function activeTasks(paths: ProjectPaths): Task[] {
  try {
    const { tasks } = JSON.parse(readFileSync(paths.tasksExport, 'utf8')) as { tasks: Task[] };
    return tasks.filter(({ state }) => state === 'running' || state === 'queued');
  } catch {
    // Never written, or damaged: nothing is known, and a start finds the truth in the database.
    return [];
  }
}

/** The ids of tasks that stand in the environment of living processes of this project. */
function markedTasks(root: string): Set<string> {
  const marks = linuxPids().map(readMarks);
  return new Set(
    marks.flatMap((mark) => (typeof mark === 'object' && mark.project === root ? (mark.taskId ?? []) : [])),
  );
}
