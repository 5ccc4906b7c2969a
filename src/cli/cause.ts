import { realpathSync } from 'node:fs';
import { PROJECT_MARK, TASK_MARK } from '../platform/attempt-marks.js';
import type { CliOptions } from './cli-options.js';
import { requireProject } from './project.js';

/**
 * What brings about the event or task that a command makes: what `--cause` names, else, within an agent of the same
 * project, that agent's task. So rules can tell their own doing. `{}` where a person calls.
 */
export function causeOf(options: CliOptions, environment: NodeJS.ProcessEnv): { cause?: string } {
  if (options.cause !== undefined) return { cause: options.cause };
  const { [TASK_MARK]: task, [PROJECT_MARK]: project } = environment;
  if (task === undefined || task === '' || project === undefined || project === '') return {};
  return isSameFolder(project, requireProject(options).root) ? { cause: task } : {};
}

function isSameFolder(one: string, other: string): boolean {
  if (one === other) return true;
  try {
    return realpathSync(one) === realpathSync(other);
  } catch {
    // A folder that is not there is not this project.
    return false;
  }
}
