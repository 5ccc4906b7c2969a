import { PROJECT_TOOLS } from './project-tools.js';
import { TASK_TOOLS } from './task-tools.js';
import type { Tool } from './tool.js';
import { WORK_TOOLS } from './work-tools.js';

/** Every tool, in the order in which clients see them. A tool more is an entry more in one of the lists. */
export const TOOLS: readonly Tool[] = [...TASK_TOOLS, ...WORK_TOOLS, ...PROJECT_TOOLS];
