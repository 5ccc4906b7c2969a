import { chmodSync, closeSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite';
import type { Clock } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import { messageOf } from '../protocol/errors.js';
import { DatabaseFiles } from './database-files.js';
import { keepDatabaseAside } from './keep-aside.js';
import { isDamage, storageError } from './storage-error.js';

/** What a column holds. */
export type SqlValue = string | number | null;
export type Row = Record<string, SqlValue>;

type Statement = ReturnType<DatabaseSyncInstance['prepare']>;

export interface StateDatabaseOptions {
  path: string;
  clock: Clock;
  log: Log;
  /** Told why nothing can be written, and undefined when it can again. */
  onFault?: (error: Error | undefined) => void;
}

/** For a program that holds the database (somebody's `sqlite3` shell): longer would stop the whole daemon. */
const BUSY_TIMEOUT_MS = 500;
const PAGE_CACHE_KIB = 1_024;
const WAL_LIMIT_BYTES = 8 * 1024 * 1024;
/** Up to this size all of the file is looked at when it is opened: some 5 ms for each MiB that is in use. */
const CHECKED_BYTES = 32 * 1024 * 1024;

/**
 * A small database on the daemon's own thread, for state that has to change together: what a source has seen, what a rule
 * makes of it, what a run has done. Every part makes its own tables. A transaction survives a kill -9 as soon as it has
 * returned; a power cut may take the newest ones, all tables alike, unless it was `durable`.
 */
export class StateDatabase {
  /** Where the damaged database lies in whose place this one was begun; undefined where nothing was wrong. */
  readonly keptAside: string | undefined;
  readonly #options: StateDatabaseOptions;
  readonly #statements = new Map<string, Statement>();
  #db: DatabaseSyncInstance;
  #files: DatabaseFiles;
  #depth = 0;
  #failure: Error | undefined;
  #afterCommit: (() => void)[] = [];
  #onRollback: (() => void)[] = [];
  /** Between BEGIN and the end of its transaction. */
  #busy = false;
  #fault: Error | undefined;
  #toldFault: Error | undefined;

  /** Opens the database, or makes it; a damaged one is kept aside, and a new one begun. Throws STORAGE_FULL or STORAGE_FAILED. */
  constructor(options: StateDatabaseOptions) {
    this.#options = options;
    const { path, clock, log } = options;
    try {
      this.#db = open(path);
    } catch (error) {
      if (!isDamage(error)) throw storageError(error, path);
      const kept = keepDatabaseAside(path, clock.now());
      this.keptAside = kept;
      log.error({ file: kept }, `${path} is damaged: it is kept aside as ${kept}, and a new one is begun`);
      this.#db = open(path);
    }
    this.#files = new DatabaseFiles(path);
  }

  /** Runs statements that give no rows and take no values, such as CREATE TABLE IF NOT EXISTS. */
  exec(sql: string): void {
    this.#guard(() => this.#db.exec(sql));
  }

  /** Answers how many rows changed, and the id of the row that an INSERT made. */
  run(sql: string, ...values: SqlValue[]): { changes: number; id: number } {
    return this.#guard(() => {
      const { changes, lastInsertRowid } = this.#prepare(sql).run(...values);
      if (!this.#busy) this.#fault = undefined;
      return { changes, id: Number(lastInsertRowid) };
    });
  }

  get(sql: string, ...values: SqlValue[]): Row | undefined {
    return this.#guard(() => this.#prepare(sql).get(...values) as Row | undefined);
  }

  all(sql: string, ...values: SqlValue[]): Row[] {
    return this.#guard(() => this.#prepare(sql).all(...values) as Row[]);
  }

  get inTransaction(): boolean {
    return this.#depth > 0;
  }

  /**
   * All of `work` or nothing of it. Within another transaction it becomes part of that, which is rolled back as a whole
   * when any part throws, even if somebody in between catches the error. `work` must not wait for anything.
   */
  transaction<T>(work: () => T, { durable = false }: { durable?: boolean } = {}): T {
    if (this.#depth > 0) return this.#join(work);
    this.#failure = undefined;
    this.#afterCommit = [];
    this.#onRollback = [];
    // A change of the pragma is void within a transaction, so it stands before.
    if (durable) this.exec('PRAGMA synchronous = FULL');
    let result: T;
    let callbacks: (() => void)[] = [];
    this.#busy = true;
    try {
      this.exec('BEGIN IMMEDIATE');
      try {
        result = this.#join(work);
        this.#throwFailure();
        this.exec('COMMIT');
        this.#fault = undefined;
      } catch (error) {
        this.#rollBack();
        throw error;
      }
    } finally {
      callbacks = this.#afterCommit;
      this.#afterCommit = [];
      this.#busy = false;
      if (durable) this.exec('PRAGMA synchronous = NORMAL');
      this.#tellFault();
    }
    for (const callback of callbacks) this.#callBack(callback);
    return result;
  }

  /** Calls back when the present transaction is on disk, at once where there is none; never when it is rolled back. */
  afterCommit(callback: () => void): void {
    if (this.#depth > 0) this.#afterCommit.push(callback);
    else callback();
  }

  /** Has the present transaction rolled back at its end, with this error; for a part whose error nobody in between hands on. */
  fail(error: Error): void {
    if (this.#depth > 0) this.#failure ??= error;
  }

  /** Calls back when the present transaction is rolled back: takes back what was changed in memory along with it. */
  onRollback(callback: () => void): void {
    if (this.#depth > 0) this.#onRollback.push(callback);
  }

  /**
   * To be called now and then: writes the database anew where somebody removed its files, and after a fault tries
   * whether it is over. Answers whether all is well.
   */
  check(): boolean {
    try {
      if (!this.#files.areInPlace()) this.#rescue();
      if (this.#fault !== undefined) this.transaction(() => this.exec('PRAGMA user_version = 1'));
      return true;
    } catch {
      return false;
    }
  }

  close(): void {
    this.#statements.clear();
    this.#db.close();
  }

  /** Whoever opened the transaction must not take it for failed because of what follows from it. */
  #callBack(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.#options.log.error({ err: error }, `What follows from a transaction failed: ${messageOf(error)}`);
    }
  }

  /** What somebody in between has caught. */
  #throwFailure(): void {
    const failure = this.#failure;
    if (failure !== undefined) throw failure;
  }

  #join<T>(work: () => T): T {
    this.#depth += 1;
    try {
      return work();
    } catch (error) {
      this.#failure ??= error instanceof Error ? error : new Error(String(error));
      throw error;
    } finally {
      this.#depth -= 1;
    }
  }

  #rollBack(): void {
    this.#afterCommit = [];
    for (const callback of this.#onRollback.toReversed()) callback();
    this.#onRollback = [];
    // SQLite itself rolls back after some errors.
    try {
      this.#db.exec('ROLLBACK');
    } catch (error) {
      this.#options.log.debug({ err: error }, 'The transaction had been rolled back already');
    }
  }

  #rescue(): void {
    const { path, log } = this.#options;
    log.warn({ file: path }, 'The files of the database were removed: it is written anew');
    this.#files.rescue(this.#db);
    this.close();
    this.#db = open(path);
    this.#files = new DatabaseFiles(path);
  }

  #prepare(sql: string): Statement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  /**
   * Only a write ends a fault: a full disk still reads, and begins transactions. Whoever is told may write, so nobody is
   * told within a transaction.
   */
  #tellFault(): void {
    const { onFault } = this.#options;
    const fault = this.#fault;
    if (this.#busy || fault === this.#toldFault) return;
    this.#toldFault = fault;
    if (onFault !== undefined) this.#callBack(() => onFault(fault));
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (cause) {
      const error = storageError(cause, this.#options.path);
      if (error.code !== 'INVALID_PARAMS') this.#fault = error;
      throw error;
    } finally {
      this.#tellFault();
    }
  }
}

function open(path: string): DatabaseSyncInstance {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  // SQLite gives the -wal and -shm files the mode of the database.
  closeSync(openSync(path, 'a', 0o600));
  chmodSync(path, 0o600);
  const db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL');
    if (process.platform === 'darwin') db.exec('PRAGMA fullfsync = 1; PRAGMA checkpoint_fullfsync = 1');
    db.exec(`PRAGMA cache_size = -${PAGE_CACHE_KIB}; PRAGMA journal_size_limit = ${WAL_LIMIT_BYTES}`);
    // Reads the schema, and with it finds out whether this is a database at all.
    db.prepare('SELECT count(*) FROM sqlite_schema').get();
    if (statSync(path).size <= CHECKED_BYTES) checkPages(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Damage within is found now, when the file can be kept aside, and not by whoever reads there later. */
function checkPages(db: DatabaseSyncInstance): void {
  const answer = db.prepare('PRAGMA quick_check(1)').get() as Row | undefined;
  if (answer?.['quick_check'] !== 'ok') throw new Error('database disk image is malformed');
}
