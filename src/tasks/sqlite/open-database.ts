import { chmodSync, closeSync, existsSync, openSync, renameSync, statSync } from 'node:fs';
import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite';
import { AiwgdError } from '../../protocol/errors.js';
import { keepAsidePath } from '../keep-aside.js';
import { Engine } from './engine.js';
import { migrate, refuseNewerSchema } from './schema.js';
import { isDamage, isWrongSchema, storageError } from './storage-error.js';

/** How long to wait for a program that holds the database (somebody's `sqlite3` shell, a backup). */
const BUSY_TIMEOUT_MS = 5_000;
/** In KiB; small because the queue's working set is the end of each index. */
const PAGE_CACHE_KIB = 2_048;
/** A WAL that one large transaction blew up is cut back to this. */
const WAL_LIMIT_BYTES = 8 * 1024 * 1024;

export interface OpenDatabase {
  db: DatabaseSyncInstance;
  engine: Engine;
  /** Where a damaged database was moved to; null when the one at `path` was sound or new. */
  damaged: string | null;
}

/**
 * Opens the database at `path`, making or migrating it as needed. A damaged one is moved aside (named with `time`, in
 * milliseconds since 1970) and a new one made. Throws STORAGE_FAILED or STORAGE_FULL; what is there then stays as it is.
 */
export function openDatabase(path: string, time: number): OpenDatabase {
  try {
    return { ...openSound(path), damaged: null };
  } catch (error) {
    if (!isDamage(error) && !isWrongSchema(error)) throw storageError(error, path);
  }
  const damaged = moveAside(path, time);
  try {
    return { ...openSound(path), damaged };
  } catch (error) {
    throw storageError(error, path);
  }
}

function openSound(path: string): { db: DatabaseSyncInstance; engine: Engine } {
  makePrivateFile(path);
  const db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    refuseNewerSchema(db, path);
    db.exec('PRAGMA journal_mode = WAL');
    // After journal_mode, and on every open: the library falls back to NORMAL, which a power cut outwits.
    db.exec('PRAGMA synchronous = FULL');
    if (process.platform === 'darwin') db.exec('PRAGMA fullfsync = 1; PRAGMA checkpoint_fullfsync = 1');
    db.exec(`PRAGMA cache_size = -${PAGE_CACHE_KIB}; PRAGMA journal_size_limit = ${WAL_LIMIT_BYTES}`);
    migrate(db);
    const engine = new Engine(db);
    engine.probe();
    return { db, engine };
  } catch (error) {
    db.close();
    throw error;
  }
}

/** SQLite gives the -wal and -shm files the mode of the database. */
function makePrivateFile(path: string): void {
  if (existsSync(path) && statSync(path).isDirectory()) {
    throw new AiwgdError(
      'STORAGE_FAILED',
      `${path} is a directory; the task store needs a file there. Move it away.`,
    );
  }
  closeSync(openSync(path, 'a', 0o600));
  chmodSync(path, 0o600);
}

/** The -wal goes along under the name that SQLite looks for, so that whatever can be saved is saved with it. */
function moveAside(path: string, time: number): string {
  const kept = keepAsidePath(path, time);
  renameSync(path, kept);
  for (const suffix of ['-wal', '-shm']) {
    if (existsSync(path + suffix)) renameSync(path + suffix, kept + suffix);
  }
  return kept;
}
