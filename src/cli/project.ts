import { realpathSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { AiwgdError } from '../protocol/errors.js';
import { findProject, type ProjectPaths, projectPaths } from '../protocol/project-paths.js';
import type { CliOptions } from './cli-options.js';

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function namedFolder(folder: string): string {
  const path = resolve(folder);
  if (!isFolder(path)) {
    throw new AiwgdError('NO_PROJECT', `--project ${folder}: there is no folder ${path}.`);
  }
  return realpathSync(path);
}

/** The project that a command works on: `--project`, else the nearest `.aiwg/` upwards. Throws NO_PROJECT. */
export function requireProject(options: CliOptions): ProjectPaths {
  if (options.project !== undefined) {
    const root = namedFolder(options.project);
    if (isFolder(join(root, '.aiwg'))) return projectPaths(root);
    throw new AiwgdError('NO_PROJECT', `${root} has no .aiwg/ folder. Make it a project with: aiwgd start`);
  }
  const root = findProject(process.cwd());
  if (root !== undefined) return projectPaths(root);
  throw new AiwgdError(
    'NO_PROJECT',
    `No .aiwg/ folder in ${process.cwd()} or above it. Run aiwgd start in your project, or name it with --project DIR.`,
  );
}

/** As `requireProject`, but a folder without `.aiwg/` may become a project: the current one, or that of `--project`. */
export function projectToBe(options: CliOptions): ProjectPaths {
  if (options.project !== undefined) return projectPaths(namedFolder(options.project));
  return projectPaths(findProject(process.cwd()) ?? process.cwd());
}
