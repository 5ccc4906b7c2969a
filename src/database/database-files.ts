import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSyncInstance } from '@photostructure/sqlite';
import { keepDatabaseAside } from './keep-aside.js';

/** `-shm` is only an index: SQLite holds it in memory, and the next one who opens the database makes it anew. */
const SUFFIXES = ['', '-wal'] as const;

/**
 * The names of an open database. SQLite goes on with files that were removed or replaced, and whatever it is given is
 * gone with the process; but as long as it holds them, all of it can still be read and written anew.
 */
export class DatabaseFiles {
  readonly #path: string;
  readonly #inodes: (number | undefined)[];

  /** For a database that was just opened. */
  constructor(path: string) {
    this.#path = path;
    this.#inodes = SUFFIXES.map((suffix) => inodeOf(path + suffix));
  }

  /** Whether the names still lead to the files that are open. */
  areInPlace(): boolean {
    return SUFFIXES.every((suffix, index) => {
      const inode = inodeOf(this.#path + suffix);
      this.#inodes[index] ??= inode;
      return inode === this.#inodes[index];
    });
  }

  /**
   * Writes the whole database to its name again; what somebody put there is kept aside. `db` must be closed, and its
   * thread ended, before anybody opens the new one: it removes a -wal of that name. Throws SQLite's or the system's error.
   */
  rescue(db: DatabaseSyncInstance): void {
    const path = this.#path;
    const temporary = `${path}.tmp`;
    makeFolderOf(path);
    closeSync(openSync(temporary, 'w', 0o600));
    db.exec(`VACUUM INTO '${temporary.replaceAll("'", "''")}'`);
    flush(temporary);
    const found = inodeOf(path);
    if (found !== undefined && found !== this.#inodes[0]) keepDatabaseAside(path, Date.now());
    // A -wal of the old file would be taken for one of the new.
    for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true });
    renameSync(temporary, path);
    flush(dirname(path));
  }
}

function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}

/** No further up than the two folders that are ours: a project that was removed is not brought back. */
function makeFolderOf(path: string): void {
  for (const folder of [dirname(dirname(path)), dirname(path)]) {
    if (inodeOf(folder) === undefined) mkdirSync(folder, { mode: 0o700 });
  }
}

function flush(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
