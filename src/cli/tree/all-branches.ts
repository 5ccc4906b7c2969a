import { branch as automation } from './automation-commands.js';
import { branch as daemon } from './daemon-commands.js';
import { branch as events } from './event-commands.js';
import type { Branch } from './leaf.js';
import { branch as mcp } from './mcp-commands.js';
import { branch as schedule } from './schedule-commands.js';
import { branch as setup } from './setup-commands.js';
import { branch as task } from './task-commands.js';
import { branch as worktree } from './worktree-commands.js';

/** The whole tree, in the order of the help. */

export const ALL_BRANCHES: readonly Branch[] = [
  daemon,
  task,
  worktree,
  events,
  automation,
  schedule,
  mcp,
  setup,
];
