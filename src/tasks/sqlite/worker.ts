// Entry of the store's thread: SQLite's calls, disk flushes included, block this thread and not the daemon's.
import { existsSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import type { FromWorker, ToWorker, WorkerOptions } from './messages.js';
import { openDatabase } from './open-database.js';
import { runBatch } from './run-batch.js';
import { isDamage, storageError, toErrorMessage } from './storage-error.js';

if (parentPort === null) throw new Error('This file is the entry of a worker thread.');
const port = parentPort;
const { path } = workerData as WorkerOptions;

function send(message: FromWorker): void {
  port.postMessage(message);
}

let opened: ReturnType<typeof openDatabase> | undefined;

function open(): FromWorker {
  try {
    opened = openDatabase(path);
    return { type: 'ready', unused: opened.unused };
  } catch (error) {
    return { type: 'failed', damaged: isDamage(error), error: toErrorMessage(storageError(error, path)) };
  }
}

/** A database that is there is opened before we are asked to, beside the daemon's own loading; a new one is made when asked for. */
const early = existsSync(path) ? open() : undefined;

function close(): void {
  try {
    opened?.db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  } catch {
    // A full disk, or a reader in another program: the WAL stays, and the next open takes it in.
  }
  opened?.db.close();
  port.close();
}

port.on('message', (message: ToWorker) => {
  if (message.type === 'open') send(early ?? open());
  else if (message.type === 'close') close();
  else if (opened !== undefined) {
    send({ type: 'results', results: runBatch(opened.db, opened.engine, message.batch, path) });
  }
});
