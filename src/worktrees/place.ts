import { existsSync, lstatSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AiwgdError } from '../protocol/errors.js';
import type { WorktreeRecord } from './records.js';
import type { Repository } from './repository.js';

/** Where a worktree is. */
export interface Place {
  owner: string;
  branch: string;
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
    branch: record.branch,
    repository,
    path,
    adminDir: known ? adminDir : null,
    present: lstatSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false,
    env: known ? { GIT_DIR: adminDir, GIT_WORK_TREE: path } : {},
  };
}

/**
 * How the worktree and what git keeps of it point to each other: as made; to others that are there, as after the project
 * was copied; broken; or replaced by a repository of its own.
 */
export function linkState({ path, adminDir }: Place): 'whole' | 'copied' | 'broken' | 'replaced' {
  const file = join(path, '.git');
  const stats = lstatSync(file, { throwIfNoEntry: false });
  if (stats !== undefined && !stats.isFile()) return 'replaced';
  if (stats === undefined || adminDir === null) return 'broken';
  const there = textIn(file)?.replace(/^gitdir: /u, '') ?? '';
  const back = textIn(join(adminDir, 'gitdir')) ?? '';
  if (there === adminDir && back === file) return 'whole';
  return leadsElsewhere(there, adminDir) || leadsElsewhere(back, file) ? 'copied' : 'broken';
}

function leadsElsewhere(link: string, own: string): boolean {
  return link !== own && existsSync(link);
}

/** Of a file of git's, without the newline at its end; undefined where there is no such file. */
export function textIn(file: string): string | undefined {
  if (!lstatSync(file, { throwIfNoEntry: false })?.isFile()) return undefined;
  return readFileSync(file, 'utf8').trimEnd();
}

const OURS = 'aiwgd\n';

/**
 * Keeps git from moving the worktree's HEAD until what is returned is called, by the lock that git itself takes. Throws
 * CONFLICT where git holds it. One that a kill left is taken over: of ours there is never more than one.
 */
export function holdHead(place: Place): () => void {
  if (place.adminDir === null) return () => undefined;
  const lock = join(place.adminDir, 'HEAD.lock');
  releaseHead(place);
  try {
    writeFileSync(lock, OURS, { flag: 'wx' });
  } catch (error) {
    throw new AiwgdError('CONFLICT', `git is at work in ${place.path} (${lock} is there).`, { cause: error });
  }
  return () => rmSync(lock, { force: true });
}

/** Takes away what a killed daemon left of `holdHead`. */
export function releaseHead({ adminDir }: Place): void {
  const lock = join(adminDir ?? '', 'HEAD.lock');
  if (adminDir !== null && existsSync(lock) && readFileSync(lock, 'utf8') === OURS) rmSync(lock);
}
