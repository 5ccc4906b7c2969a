import { AiwgdError, type ErrorCode, messageOf } from '../protocol/errors.js';

/** An error on its way between the threads. */
export interface ErrorMessage {
  code: ErrorCode;
  message: string;
  data: unknown;
}

/** Result codes of SQLite (the low byte of an extended code). */
const SQLITE_ERROR = 1;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_TOOBIG = 18;
const SQLITE_CONSTRAINT = 19;
const SQLITE_NOTADB = 26;

/** errno: ENOSPC everywhere; EDQUOT is 122 on Linux and 69 on macOS. */
const NO_SPACE_ERRNOS = new Set([28, 69, 122]);

interface SqliteError extends Error {
  sqliteCode?: number;
  sqliteCodeName?: string;
  systemErrno?: number;
  code?: string;
}

/** The library's `all()` throws errors without codes: then SQLite's own words have to do. */
const CODE_BY_MESSAGE = new Map([
  ['database disk image is malformed', SQLITE_CORRUPT],
  ['file is not a database', SQLITE_NOTADB],
  ['database or disk is full', SQLITE_FULL],
]);

function resultCodeOf(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined;
  const code = (error as SqliteError).sqliteCode ?? CODE_BY_MESSAGE.get(error.message);
  return code === undefined ? undefined : code & 0xff;
}

/**
 * Whether an error of opening means that the file is unusable: not a database, one whose pages do not fit together, or
 * one whose tables are not those that its version claims.
 */
export function isDamage(error: unknown): boolean {
  const code = resultCodeOf(error);
  return code === SQLITE_CORRUPT || code === SQLITE_NOTADB || code === SQLITE_ERROR;
}

function isFull(error: unknown): boolean {
  if (resultCodeOf(error) === SQLITE_FULL) return true;
  const { systemErrno, code } = error as SqliteError;
  return code === 'ENOSPC' || code === 'EDQUOT' || NO_SPACE_ERRNOS.has(systemErrno ?? 0);
}

function isBadValue(error: unknown): boolean {
  const code = resultCodeOf(error);
  return (
    code === SQLITE_CONSTRAINT ||
    code === SQLITE_TOOBIG ||
    (error as SqliteError).code === 'ERR_INVALID_ARG_TYPE'
  );
}

/** Anything that the engine throws, as an error of the catalogue that names the file. */
export function storageError(error: unknown, path: string): AiwgdError {
  if (error instanceof AiwgdError) return error;
  const reason = messageOf(error);
  const options = { cause: error, data: { reason, path } };
  if (!(error instanceof Error)) return new AiwgdError('STORAGE_FAILED', `${path}: ${reason}`, options);
  if (isBadValue(error))
    return new AiwgdError('INVALID_PARAMS', `The task cannot be stored: ${reason}`, options);
  if (isFull(error)) {
    const message = `The disk of ${path} is full (${reason}): nothing was stored. Make room and try again.`;
    return new AiwgdError('STORAGE_FULL', message, options);
  }
  const name = (error as SqliteError).sqliteCodeName;
  const message = `${path} cannot be read or written: ${reason}${name === undefined ? '' : ` (${name})`}. Look at the disk, and at who may write there.`;
  return new AiwgdError('STORAGE_FAILED', message, options);
}

/** For the way to the other thread, which drops the class and the fields of an error. */
export function toErrorMessage(error: AiwgdError): ErrorMessage {
  return { code: error.code, message: error.message, data: error.data };
}

export function fromErrorMessage({ code, message, data }: ErrorMessage): AiwgdError {
  return new AiwgdError(code, message, { data });
}

/** Whether it is the disk, or whoever holds the database, that stands in the way: later it may go. */
export function isStorageFault(error: unknown): boolean {
  return error instanceof AiwgdError && (error.code === 'STORAGE_FULL' || error.code === 'STORAGE_FAILED');
}
