import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorktreeRecord } from './records.js';
import type { Repository } from './repository.js';

/** Where a worktree is. */
export interface Place {
  owner: string;
  repository: Repository;
  /** Its folder. */
  path: string;
  /** What git keeps of it; null where git has not made it. */
  adminDir: string | null;
  /** Whether the folder is there. */
  present: boolean;
  /**
   * Makes git work on this worktree, whatever has become of the file `.git` in it: an agent may have replaced that. Empty
   * where git keeps nothing of it.
   */
  env: Readonly<Record<string, string>>;
}

export function placeOf(record: WorktreeRecord, repository: Repository, path: string): Place {
  const adminDir = record.admin === null ? null : join(repository.commonDir, 'worktrees', record.admin);
  const known = adminDir !== null && existsSync(adminDir);
  return {
    owner: record.owner,
    repository,
    path,
    adminDir: known ? adminDir : null,
    present: lstatSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false,
    env: known ? { GIT_DIR: adminDir, GIT_WORK_TREE: path } : {},
  };
}

/** How the worktree and what git keeps of it point to each other: as made, broken, or replaced by a repository of its own. */
export function linkState({ path, adminDir }: Place): 'whole' | 'broken' | 'replaced' {
  const file = join(path, '.git');
  const stats = lstatSync(file, { throwIfNoEntry: false });
  if (stats !== undefined && !stats.isFile()) return 'replaced';
  if (stats === undefined || adminDir === null) return 'broken';
  const here = readFileSync(file, 'utf8').trim() === `gitdir: ${adminDir}`;
  const back = join(adminDir, 'gitdir');
  return here && existsSync(back) && readFileSync(back, 'utf8').trim() === file ? 'whole' : 'broken';
}
