import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

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
    actions: join(daemon, 'actions'),
    events: join(daemon, 'events'),
  };
}

/** Within a worktree of a task, which may have brought along an `.aiwg/` of its own. */
const IN_WORKTREE = /\/\.aiwg\/working\/task-\d+(?=\/|$)/u;

/**
 * The nearest folder that holds `.aiwg/`, from `start` upwards; undefined where there is none. In the worktree of a task
 * that is the project to which the worktree belongs.
 */
export function findProject(start: string): string | undefined {
  const path = resolve(start);
  const worktree = IN_WORKTREE.exec(path);
  for (let folder = path.slice(0, worktree?.index); ; folder = dirname(folder)) {
    if (existsSync(join(folder, '.aiwg'))) return folder;
    if (folder === dirname(folder)) return undefined;
  }
}
