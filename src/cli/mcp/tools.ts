import { PROJECT_TOOLS } from './project-tools.js';
import { TASK_TOOLS } from './task-tools.js';
import type { Tool } from './tool.js';

/** Every tool, in the order in which clients see them. A tool more is an entry more in one of the two lists. */
export const TOOLS: readonly Tool[] = [...TASK_TOOLS, ...PROJECT_TOOLS];
