import type { DatabaseSyncInstance } from '@photostructure/sqlite';
import { fromErrorMessage, storageError, toErrorMessage } from '../../database/storage-error.js';
import type { Engine } from './engine.js';
import type { Operation, OperationResult } from './messages.js';
import type { TaskRow } from './rows.js';

/** A batch ends where the texts of its answers come to more than this: they all go to the main thread at once. */
const ANSWER_CHARACTERS = 16 * 1024 * 1024;

const READS: ReadonlySet<Operation['name']> = new Set([
  'get',
  'list',
  'counts',
  'nextRunAt',
  'endedBefore',
  'endedSince',
  'spendIn',
  'newestCharge',
]);

/**
 * Carries out a batch as one transaction, one flush of the disk. An operation that fails is undone alone. When the
 * transaction as a whole fails (a full disk, say) every write of the batch fails, and the reads are done again
 * without it. Answers the first of the operations at least; those after the last answer were not touched, because the
 * answers before them are large enough. Never throws.
 */
export function runBatch(
  db: DatabaseSyncInstance,
  engine: Engine,
  batch: readonly Operation[],
  path: string,
): OperationResult[] {
  const failed = failureAt(path);
  try {
    db.exec(batch.some(isWrite) ? 'BEGIN IMMEDIATE' : 'BEGIN');
    const results = untilFull(batch, (operation) => {
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
    return readsOnly(engine, batch, path, error);
  }
}

/** Carries out the reads of a batch; every write fails with `error`. */
export function readsOnly(
  engine: Engine,
  batch: readonly Operation[],
  path: string,
  error: unknown,
): OperationResult[] {
  const failed = failureAt(path);
  return untilFull(batch, (operation) =>
    isWrite(operation) ? failed(error) : attempt(engine, operation, failed),
  );
}

function failureAt(path: string): (error: unknown) => OperationResult {
  return (error) => ({ error: toErrorMessage(storageError(error, path)) });
}

function untilFull(
  batch: readonly Operation[],
  carryOut: (operation: Operation) => OperationResult,
): OperationResult[] {
  const results: OperationResult[] = [];
  let characters = 0;
  for (const operation of batch) {
    const result = carryOut(operation);
    results.push(result);
    if (operation.name === 'list' || operation.name === 'get') characters += charactersOf(result);
    if (characters > ANSWER_CHARACTERS) break;
  }
  return results;
}

/** Characters of the rows in the answer of a read. */
function charactersOf(result: OperationResult): number {
  if ('error' in result || result.value === undefined) return 0;
  const answer = result.value as TaskRow | { rows: TaskRow[] };
  const rows = 'rows' in answer ? answer.rows : [answer];
  return rows.reduce(
    (sum, { prompt, metadata, result: text }) => sum + prompt.length + metadata.length + (text?.length ?? 0),
    0,
  );
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
