import { lstatSync, type Stats } from 'node:fs';
import { systemPath } from './byte-path.js';

/**
 * What tells one content of a file from the next. The inode alone proves nothing: ext4 gives it to the next file. Times
 * are in milliseconds since 1970. Permissions are no part of it, so that a chmod is no change.
 */
export interface FileEntry {
  inode: number;
  birth: number;
  modified: number;
  size: number;
}

/** `gone`: there is certainly nothing of that name; `unknown`: nobody can tell, as where a folder may not be entered. */
export type Look = Stats | 'gone' | 'unknown';

/** Looks at the thing of that name itself: a symbolic link is a thing of its own. */
export function lookAt(path: string): Look {
  try {
    return lstatSync(systemPath(path), { throwIfNoEntry: false }) ?? 'gone';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOTDIR' ? 'gone' : 'unknown';
  }
}

/** Whether `folder`, a path within `root`, leads through folders alone, or may: through no link and no file. */
export function isRealFolder(root: string, folder: string): boolean {
  let path = root;
  for (const name of folder.split('/')) {
    path += `/${name}`;
    const stats = lookAt(path);
    if (stats === 'unknown') return true;
    if (stats === 'gone' || !stats.isDirectory()) return false;
  }
  return true;
}

/** The entry of a file or symbolic link; undefined for folders, sockets, pipes and devices. */
export function entryOf(stats: Stats): FileEntry | undefined {
  if (!stats.isFile() && !stats.isSymbolicLink()) return undefined;
  return { inode: stats.ino, birth: stats.birthtimeMs, modified: stats.mtimeMs, size: stats.size };
}

export function sameEntry(a: FileEntry, b: FileEntry): boolean {
  return a.modified === b.modified && a.size === b.size && a.inode === b.inode && a.birth === b.birth;
}

export type FileChange = 'create' | 'modify' | 'delete';

/** What became of a file between two looks; undefined where nothing did. */
export function changeBetween(
  before: FileEntry | undefined,
  after: FileEntry | undefined,
): FileChange | undefined {
  if (before === undefined) return after === undefined ? undefined : 'create';
  if (after === undefined) return 'delete';
  return sameEntry(before, after) ? undefined : 'modify';
}
