import { chmodSync, closeSync, existsSync, openSync, statSync } from 'node:fs';
import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite';
import { AiwgdError } from '../../protocol/errors.js';
import { Engine } from './engine.js';
import { migrate, refuseNewerSchema } from './schema.js';

/** How long to wait for a program that holds the database (somebody's `sqlite3` shell, a backup). */
const BUSY_TIMEOUT_MS = 5_000;
/** In KiB; small because the queue's working set is the end of each index. */
const PAGE_CACHE_KIB = 2_048;
/** A WAL that one large transaction blew up is cut back to this. */
const WAL_LIMIT_BYTES = 8 * 1024 * 1024;

/**
 * Opens the database at `path`, making or migrating it as needed. Throws SQLite's own error (`isDamage` tells a damaged
 * file from other trouble), or STORAGE_FAILED for a directory and for a database of a newer program. `newest` is
 * the number of the newest task that it has ever held, null where it never held one.
 */
export function openDatabase(path: string): {
  db: DatabaseSyncInstance;
  engine: Engine;
  newest: number | null;
} {
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
    return { db, engine, newest: newestIn(db) };
  } catch (error) {
    db.close();
    throw error;
  }
}

/** A task leaves its number here when it is inserted, also when it is forgotten later. */
function newestIn(db: DatabaseSyncInstance): number | null {
  const row = db.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'tasks'").get() as
    | { seq: number }
    | undefined;
  return row?.seq ?? null;
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
