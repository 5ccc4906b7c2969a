import { within } from './byte-path.js';
import type { FileEntry } from './file-entry.js';
import type { DirectoryWatch } from './watch-backend.js';
import type { Place } from './watch-view.js';

/** A folder: what has been reported of the files in it, and, while it is there and in view, its watch. */
export class Directory {
  readonly parent: Directory | undefined;
  readonly name: string;
  readonly path: string;
  /** The files as they were last reported, or found when they came into view. */
  readonly files = new Map<string, FileEntry>();
  readonly directories = new Map<string, Directory>();
  /** Undefined while it is not there, or not in view. */
  place: Place | undefined;
  watch: DirectoryWatch | undefined;
  inode = 0;
  birth = 0;
  /** Wall time since which it cannot be read; undefined while it can. */
  unreadSince: number | undefined;

  constructor(parent?: Directory, name = '') {
    this.parent = parent;
    this.name = name;
    this.path = parent === undefined ? '' : within(parent.path, name);
  }

  /** The folder of that name in this one; made where it is not known. */
  inner(name: string): Directory {
    let directory = this.directories.get(name);
    if (directory === undefined) {
      directory = new Directory(this, name);
      this.directories.set(name, directory);
    }
    return directory;
  }
}

/** Everything that is watched, as a tree from the project's folder down. */
export class FileTree {
  readonly root = new Directory();

  /** The folder of that path; made where it is not known. */
  directory(path: string): Directory {
    let directory = this.root;
    if (path === '') return directory;
    for (const name of path.split('/')) directory = directory.inner(name);
    return directory;
  }

  /** The folder of that path, if it is known. */
  find(path: string): Directory | undefined {
    let directory: Directory | undefined = this.root;
    if (path === '') return directory;
    for (const name of path.split('/')) directory = directory?.directories.get(name);
    return directory;
  }

  /** Drops a folder that is gone and of which nothing is left to be said; and those above it likewise. */
  prune(directory: Directory): void {
    for (let at: Directory | undefined = directory; at?.parent !== undefined; at = at.parent) {
      if (at.place !== undefined || at.files.size > 0 || at.directories.size > 0) return;
      if (at.parent.directories.get(at.name) === at) at.parent.directories.delete(at.name);
    }
  }

  /** Files that are known, and folders that are there and in view. */
  counts(): { files: number; directories: number } {
    const total = { files: 0, directories: 0 };
    countIn(this.root, total);
    return total;
  }
}

/** By plain recursion: a status is asked for often. */
function countIn(directory: Directory, total: { files: number; directories: number }): void {
  total.files += directory.files.size;
  if (directory.place !== undefined) total.directories += 1;
  for (const inner of directory.directories.values()) countIn(inner, total);
}

/** A folder and all beneath it; each before what is in it. What is removed meanwhile may still come. */
export function* walk(directory: Directory): Generator<Directory> {
  yield directory;
  for (const inner of directory.directories.values()) yield* walk(inner);
}
