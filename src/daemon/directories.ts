import {
  chmodSync,
  existsSync,
  readdirSync,
  realpathSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '../platform/make-folder.js';
import { AiwgdError, messageOf } from '../protocol/errors.js';
import { type ProjectPaths, projectPaths } from '../protocol/project-paths.js';

/** The project's folder without symbolic links, so that two ways to it are one project. Throws START_FAILED. */
export function resolveProject(folder: string): string {
  try {
    const root = realpathSync(folder);
    if (!statSync(root).isDirectory()) throw new Error('it is not a folder');
    return root;
  } catch (cause) {
    throw new AiwgdError('START_FAILED', `Cannot use the project ${folder}: ${messageOf(cause)}`, { cause });
  }
}

export interface PreparedDirectories {
  paths: ProjectPaths;
  /** After a failed start: removes those folders again that were made here and are still empty. */
  removeEmpty: () => void;
}

/** Makes the folders of a project; what the daemon keeps is for its owner alone. Throws START_FAILED. */
export function prepareDirectories(root: string): PreparedDirectories {
  const paths = projectPaths(root);
  const ignoreFile = join(paths.daemon, '.gitignore');
  const made: string[] = [];
  let ignoreMade = false;
  try {
    for (const folder of [paths.aiwg, paths.daemon, paths.actions, paths.events]) {
      const mode = folder === paths.aiwg ? 0o755 : 0o700;
      if (makeFolder(folder, mode)) made.push(folder);
      if (folder !== paths.aiwg) chmodSync(folder, mode);
    }
    // Prompts, output and the database are nobody's source code.
    if (!existsSync(ignoreFile)) {
      ignoreMade = true;
      writeFileSync(ignoreFile, '*\n');
    }
  } catch (cause) {
    // An empty one, as a full disk leaves it, ignores nothing, and the next start would take it for the owner's.
    if (ignoreMade) rmSync(ignoreFile, { force: true });
    throw new AiwgdError(
      'START_FAILED',
      `Cannot create ${paths.daemon}: ${messageOf(cause)}. The daemon needs to write there.`,
      { cause },
    );
  }
  return {
    paths,
    removeEmpty: () => {
      if (ignoreMade) rmSync(ignoreFile, { force: true });
      made.toReversed().forEach(removeIfEmpty);
    },
  };
}

/** Removes what a kill left half written, and nobody will ever read. Only for who holds the lock. */
export function removeTemporaries(paths: ProjectPaths): void {
  const left = [paths.daemon, paths.events].flatMap((folder) =>
    readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.name.endsWith('.tmp') && !entry.isDirectory())
      .map((entry) => join(folder, entry.name)),
  );
  for (const file of [...left, `${paths.pid}.tmp`, `${paths.config}.tmp`]) rmSync(file, { force: true });
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error;
  }
}
