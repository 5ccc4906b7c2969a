import type { Branch } from './leaf.js';

const LOADERS = {
  daemon: () => import('./daemon-commands.js'),
  task: () => import('./task-commands.js'),
  events: () => import('./event-commands.js'),
  automation: () => import('./automation-commands.js'),
  schedule: () => import('./schedule-commands.js'),
  mcp: () => import('./mcp-commands.js'),
  worktree: () => import('./worktree-commands.js'),
  setup: () => import('./setup-commands.js'),
} satisfies Record<string, () => Promise<{ branch: Branch }>>;

/** Which branch holds a command. */
export const BRANCH_OF: Readonly<Record<string, keyof typeof LOADERS>> = {
  start: 'daemon',
  stop: 'daemon',
  restart: 'daemon',
  reload: 'daemon',
  doctor: 'daemon',
  status: 'daemon',
  ping: 'daemon',
  logs: 'daemon',
  task: 'task',
  spend: 'task',
  events: 'events',
  automation: 'automation',
  gate: 'automation',
  schedule: 'schedule',
  mcp: 'mcp',
  worktree: 'worktree',
  config: 'setup',
  demo: 'setup',
  completion: 'setup',
  version: 'setup',
};

/**
 * The branches that a command line needs: one where its first word is a command, else all, so that the help is whole and
 * a mistyped command finds the nearest of all. Loading one instead of all is a tenth of the time of a short command.
 */
export async function branchesFor(firstWord: string | undefined): Promise<readonly Branch[]> {
  const name =
    firstWord !== undefined && Object.hasOwn(BRANCH_OF, firstWord) ? BRANCH_OF[firstWord] : undefined;
  if (name !== undefined) return [(await LOADERS[name]()).branch];
  return (await import('./all-branches.js')).ALL_BRANCHES;
}
