import type { DatabaseSyncInstance } from '@photostructure/sqlite';
import type { Engine } from './engine.js';
import type { Operation, OperationResult } from './messages.js';
import { fromErrorMessage, storageError, toErrorMessage } from './storage-error.js';

const READS: ReadonlySet<Operation['name']> = new Set(['get', 'list', 'counts', 'nextRunAt']);

/**
 * Carries out a batch as one transaction, one flush of the disk. An operation that fails is undone alone. When the
 * transaction as a whole fails (a full disk, say) every write of the batch fails, and the reads are done again
 * without it. Never throws.
 */
export function runBatch(
  db: DatabaseSyncInstance,
  engine: Engine,
  batch: readonly Operation[],
  path: string,
): OperationResult[] {
  const failed = (error: unknown): OperationResult => ({ error: toErrorMessage(storageError(error, path)) });
  try {
    db.exec(batch.some(isWrite) ? 'BEGIN IMMEDIATE' : 'BEGIN');
    const results = batch.map((operation): OperationResult => {
      if (!isWrite(operation)) return attempt(engine, operation, failed);
      db.exec('SAVEPOINT operation');
      const result = attempt(engine, operation, failed);
      if ('error' in result) {
        // Some failures (a full disk) end the whole transaction, and with it what other operations did.
        if (!db.isTransaction) throw fromErrorMessage(result.error);
        db.exec('ROLLBACK TO operation');
      }
      db.exec('RELEASE operation');
      return result;
    });
    db.exec('COMMIT');
    return results;
  } catch (error) {
    rollBack(db);
    return batch.map((operation) =>
      isWrite(operation) ? failed(error) : attempt(engine, operation, failed),
    );
  }
}

function isWrite(operation: Operation): boolean {
  return !READS.has(operation.name);
}

function attempt(
  engine: Engine,
  { name, args }: Operation,
  failed: (error: unknown) => OperationResult,
): OperationResult {
  try {
    // `Operation` pairs each name with its own arguments; the compiler can't follow that through the call.
    return { value: (engine[name] as (...values: unknown[]) => unknown).apply(engine, args) };
  } catch (error) {
    return failed(error);
  }
}

function rollBack(db: DatabaseSyncInstance): void {
  try {
    if (db.isTransaction) db.exec('ROLLBACK');
  } catch {
    // SQLite rolled back by itself between the two lines; every operation is answered with the first error anyway.
  }
}
