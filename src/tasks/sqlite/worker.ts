// Entry of the store's thread: SQLite's calls, disk flushes included, block this thread and not the daemon's.
import { existsSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { DatabaseFiles } from '../../database/database-files.js';
import { isDamage, storageError, toErrorMessage } from '../../database/storage-error.js';
import type { FromWorker, Operation, ToWorker, WorkerOptions } from './messages.js';
import { openDatabase } from './open-database.js';
import { readsOnly, runBatch } from './run-batch.js';

if (parentPort === null) throw new Error('This file is the entry of a worker thread.');
const port = parentPort;
const { path } = workerData as WorkerOptions;

function send(message: FromWorker): void {
  port.postMessage(message);
}

/** Pause after a rescue that failed: it writes the whole database. */
const RESCUE_PAUSE_MS = 1_000;

let opened: (ReturnType<typeof openDatabase> & { files: DatabaseFiles }) | undefined;
let rescueFault: { error: unknown; at: number } | undefined;

function open(): FromWorker {
  try {
    opened = { ...openDatabase(path), files: new DatabaseFiles(path) };
    return { type: 'ready', newest: opened.newest };
  } catch (error) {
    return { type: 'failed', damaged: isDamage(error), error: toErrorMessage(storageError(error, path)) };
  }
}

/** A database that is there is opened before we are asked to, beside the daemon's own loading; a new one is made when asked for. */
const early = existsSync(path) ? open() : undefined;

/** Whether the files had gone and were written anew: then this thread must end. Throws what kept them from it. */
function rescued({ db, files }: NonNullable<typeof opened>): boolean {
  if (files.areInPlace()) return false;
  if (rescueFault !== undefined && performance.now() - rescueFault.at < RESCUE_PAUSE_MS)
    throw rescueFault.error;
  try {
    files.rescue(db);
    return true;
  } catch (error) {
    rescueFault = { error, at: performance.now() };
    throw error;
  }
}

function run(database: NonNullable<typeof opened>, batch: readonly Operation[]): void {
  const { db, engine } = database;
  try {
    if (rescued(database)) {
      send({ type: 'rescued' });
      end();
      return;
    }
  } catch (error) {
    // Nothing is acknowledged that would be gone with this process.
    send({ type: 'results', results: readsOnly(engine, batch, path, error) });
    return;
  }
  send({ type: 'results', results: runBatch(db, engine, batch, path) });
}

function close(): void {
  try {
    if (opened !== undefined && !rescued(opened)) opened.db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  } catch {
    // A full disk, or a reader in another program: the WAL stays, and the next open takes it in.
  }
  end();
}

function end(): void {
  opened?.db.close();
  port.close();
}

port.on('message', (message: ToWorker) => {
  if (message.type === 'open') send(early ?? open());
  else if (message.type === 'close') close();
  else if (opened !== undefined) run(opened, message.batch);
});
