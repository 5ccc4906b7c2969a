import { existsSync } from 'node:fs';
import { dirname, join, resolve, sep } from 'node:path';

/** Where everything of one project lies. */
export interface ProjectPaths {
  /** The project: the folder that holds `.aiwg/`. */
  root: string;
  aiwg: string;
  config: string;
  pid: string;
  daemon: string;
  lock: string;
  /** The socket, or (where this path is too long for one) a symbolic link to it. */
  socket: string;
  state: string;
  heartbeat: string;
  log: string;
  /** What the daemon process wrote outside its log: the last words of a crash. */
  stderr: string;
  database: string;
  /** What sources have seen, and what rules, jobs and gates are at. */
  automation: string;
  tasksExport: string;
  /** Providers whose limit holds. */
  pauses: string;
  actions: string;
  events: string;
}

export function projectPaths(root: string): ProjectPaths {
  const aiwg = join(root, '.aiwg');
  const daemon = join(aiwg, 'daemon');
  return {
    root,
    aiwg,
    config: join(aiwg, 'daemon.json'),
    pid: join(aiwg, 'daemon.pid'),
    daemon,
    lock: join(daemon, '.lock'),
    socket: join(daemon, 'daemon.sock'),
    state: join(daemon, 'state.json'),
    heartbeat: join(daemon, 'heartbeat'),
    log: join(daemon, 'daemon.log'),
    stderr: join(daemon, 'stderr.log'),
    database: join(daemon, 'tasks.db'),
    automation: join(daemon, 'automation.db'),
    tasksExport: join(daemon, 'tasks.json'),
    pauses: join(daemon, 'provider-pauses.json'),
    actions: join(daemon, 'actions'),
    events: join(daemon, 'events'),
  };
}

const WORKTREES = `${sep}${join('.aiwg', 'working')}${sep}`;

/**
 * The nearest folder that holds `.aiwg/`, from `start` upwards; undefined where there is none. A worktree that was made for
 * a task belongs to the project around it, also where it has an `.aiwg/` of its own from the repository.
 */
export function findProject(start: string): string | undefined {
  const [around, ...within] = resolve(start).split(WORKTREES);
  if (around !== undefined && within.length > 0 && existsSync(join(around, '.aiwg'))) return around;
  for (let folder = resolve(start); ; folder = dirname(folder)) {
    if (existsSync(join(folder, '.aiwg'))) return folder;
    if (folder === dirname(folder)) return undefined;
  }
}
