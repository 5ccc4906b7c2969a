import type { Row, StateDatabase } from '../../database/state-database.js';
import { bytesOfPath, isText, pathOfBytes } from './byte-path.js';
import type { FileEntry } from './file-entry.js';

/** A path of the configuration whose files the table holds. */
export interface TablePath {
  /** What was in view then. */
  view: string;
  /**
   * Null when the table has every file of it. Else wall time from which on it was watched: a file that the table lacks and
   * that is older than this was there before, and is not new.
   */
  since: number | null;
}

const TABLES = `
  CREATE TABLE IF NOT EXISTS watched_files (
    path TEXT PRIMARY KEY, inode REAL NOT NULL, birth REAL NOT NULL, modified REAL NOT NULL, size REAL NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS watched_paths (path TEXT PRIMARY KEY, view TEXT NOT NULL, since REAL);
  CREATE TABLE IF NOT EXISTS watch_state (key TEXT PRIMARY KEY, value TEXT NOT NULL);
`;

/** No relative path begins with a slash: so these are the ones that are no text. */
const BYTES_PREFIX = '/';

/** The files as they were last reported, kept over restarts. Every method may throw STORAGE_FULL or STORAGE_FAILED. */
export class FileTable {
  readonly #db: StateDatabase;

  constructor(db: StateDatabase) {
    this.#db = db;
    db.exec(TABLES);
  }

  /** Up to `limit` files in the order of their stored paths; `after` is the key that the last page ended with. */
  page(
    after: string,
    limit: number,
  ): { files: { path: string; entry: FileEntry }[]; last: string | undefined } {
    const sql =
      'SELECT path, inode, birth, modified, size FROM watched_files WHERE path > ? ORDER BY path LIMIT ?';
    const rows = this.#db.all(sql, after, limit);
    return { files: rows.map(fileOf), last: rows.length < limit ? undefined : String(rows.at(-1)?.['path']) };
  }

  save(path: string, { inode, birth, modified, size }: FileEntry): void {
    const sql =
      'INSERT OR REPLACE INTO watched_files (path, inode, birth, modified, size) VALUES (?, ?, ?, ?, ?)';
    this.#db.run(sql, keyOf(path), inode, birth, modified, size);
  }

  remove(path: string): void {
    this.#db.run('DELETE FROM watched_files WHERE path = ?', keyOf(path));
  }

  paths(): Map<string, TablePath> {
    const rows = this.#db.all('SELECT path, view, since FROM watched_paths');
    return new Map(
      rows.map(({ path, view, since }) => [
        String(path),
        { view: String(view), since: since === null ? null : Number(since) },
      ]),
    );
  }

  /** Replaces all of `watched_paths`. */
  savePaths(paths: ReadonlyMap<string, TablePath>): void {
    this.#db.run('DELETE FROM watched_paths');
    for (const [path, { view, since }] of paths) {
      this.#db.run('INSERT INTO watched_paths (path, view, since) VALUES (?, ?, ?)', path, view, since);
    }
  }

  /** Wall time at which all that had happened was known, in milliseconds since 1970. */
  get lookedAt(): number | undefined {
    const value = this.#state('looked_at');
    return value === undefined ? undefined : Number(value);
  }

  set lookedAt(time: number) {
    this.#setState('looked_at', String(time));
  }

  /** Stands for the content of all `.gitignore` files. */
  get ignoreDigest(): string | undefined {
    return this.#state('ignore_digest');
  }

  set ignoreDigest(digest: string) {
    this.#setState('ignore_digest', digest);
  }

  /** Nothing is watched any more: what is there when it begins again will not be new. */
  clear(): void {
    this.#db.transaction(() => {
      for (const table of ['watched_files', 'watched_paths', 'watch_state'])
        this.#db.run(`DELETE FROM ${table}`);
    });
  }

  #state(key: string): string | undefined {
    const row = this.#db.get('SELECT value FROM watch_state WHERE key = ?', key);
    return row === undefined ? undefined : String(row['value']);
  }

  #setState(key: string, value: string): void {
    this.#db.run('INSERT OR REPLACE INTO watch_state (key, value) VALUES (?, ?)', key, value);
  }
}

function keyOf(path: string): string {
  return isText(path) ? path : BYTES_PREFIX + bytesOfPath(path).toString('base64');
}

function fileOf({ path, inode, birth, modified, size }: Row): { path: string; entry: FileEntry } {
  const key = String(path);
  const bytes = key.startsWith(BYTES_PREFIX);
  return {
    path: bytes ? pathOfBytes(Buffer.from(key.slice(BYTES_PREFIX.length), 'base64')) : key,
    entry: { inode: Number(inode), birth: Number(birth), modified: Number(modified), size: Number(size) },
  };
}
