import type { ErrorMessage } from '../../database/storage-error.js';
import type { Engine } from './engine.js';

type OperationName = Exclude<keyof Engine, 'probe'>;

/** A call of the engine on its way to the worker thread. */
export type Operation = { [N in OperationName]: { name: N; args: Parameters<Engine[N]> } }[OperationName];

export type ResultOfOperation<N extends OperationName> = ReturnType<Engine[N]>;

export type OperationResult = { value: unknown } | { error: ErrorMessage };

export interface WorkerOptions {
  path: string;
}

export type ToWorker = { type: 'open' } | { type: 'batch'; batch: readonly Operation[] } | { type: 'close' };

export type FromWorker =
  | { type: 'ready'; newest: number | null }
  | { type: 'failed'; damaged: boolean; error: ErrorMessage }
  | { type: 'results'; results: OperationResult[] }
  /** The files were gone from under the database; it was written anew, nothing of the batch was done, the thread ends. */
  | { type: 'rescued' };
