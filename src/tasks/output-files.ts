import { constants } from 'node:fs';
import { type FileHandle, lstat, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AiwgdError } from '../protocol/errors.js';
import type { OutputSlice, OutputStream } from '../protocol/method-types.js';
import { seqOf } from './task-id.js';

export interface AttemptPaths {
  folder: string;
  stdout: string;
  stderr: string;
  result: string;
  prompt: string;
}

export interface OutputRead {
  taskId: string;
  attempt: number;
  stream: OutputStream;
  /** First byte to read. */
  offset: number;
  /** Bytes at most; 4 (one character) where it is less. */
  limit: number;
  /** Whether the attempt is over: nothing will be added any more. */
  ended: boolean;
}

const LONGEST_CHARACTER = 4;

/**
 * An agent may put anything in the place of its files: a FIFO must not be waited for, for each one that is holds one
 * of the few threads that do all file work, and a link must not lead out of the folder.
 */
const READ_ONLY = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;

/**
 * Where attempts leave their output: `<actions>/<task id>/attempt-<n>/`. Reads are bounded by what is asked for,
 * however large a file is. A task id or attempt that is none is INVALID_PARAMS, so no path leads out of the folder.
 */
export class OutputFiles {
  readonly #actions: string;

  constructor(options: { actionsDir: string }) {
    this.#actions = options.actionsDir;
  }

  paths(taskId: string, attempt: number): AttemptPaths {
    if (!Number.isSafeInteger(attempt) || attempt < 1) {
      throw new AiwgdError('INVALID_PARAMS', `Attempt ${attempt} of ${taskId}: attempts are counted from 1.`);
    }
    const folder = join(this.#taskFolder(taskId), `attempt-${attempt}`);
    return {
      folder,
      stdout: join(folder, 'stdout.log'),
      stderr: join(folder, 'stderr.log'),
      result: join(folder, 'result.json'),
      prompt: join(folder, 'prompt'),
    };
  }

  /**
   * Text from `offset` on, cut at a whole character. Bytes that are no UTF-8 become U+FFFD. `eof` is true when an ended
   * attempt has nothing more; a running one that has no more yet answers with what there is, and `eof` false.
   */
  async read({ taskId, attempt, stream, offset, limit, ended }: OutputRead): Promise<OutputSlice> {
    const path = this.paths(taskId, attempt)[stream];
    requireByteCount('offset', offset);
    requireByteCount('limit', limit);
    const wanted = Math.max(limit, LONGEST_CHARACTER);
    // One byte more tells whether this is the end of the file.
    const found = (await readBytes(path, offset, wanted + 1)) ?? Buffer.alloc(0);
    const atEnd = found.length <= wanted;
    const bytes = found.subarray(0, wanted);
    const whole = atEnd && ended ? bytes.length : bytes.length - incompleteBytes(bytes);
    return {
      data: bytes.toString('utf8', 0, whole),
      nextOffset: offset + whole,
      eof: ended && atEnd,
    };
  }

  /** The last `bytes` bytes of an attempt's stdout as text, without the halves of characters at its ends. */
  async tail(taskId: string, attempt: number, bytes: number): Promise<string> {
    requireByteCount('bytes', bytes);
    const start = Math.max(0, (await this.size(taskId, attempt)) - bytes);
    const found = (await readBytes(this.paths(taskId, attempt).stdout, start, bytes)) ?? Buffer.alloc(0);
    const first =
      start > 0 ? found.subarray(0, LONGEST_CHARACTER).findIndex((byte) => !isContinuation(byte)) : 0;
    return found.toString('utf8', Math.max(0, first), found.length - incompleteBytes(found));
  }

  /** Bytes that an attempt has written; 0 where there is no file. */
  async size(taskId: string, attempt: number, stream: OutputStream = 'stdout'): Promise<number> {
    try {
      const found = await lstat(this.paths(taskId, attempt)[stream]);
      return found.isFile() ? found.size : 0;
    } catch (error) {
      if (isMissing(error)) return 0;
      throw error;
    }
  }

  /** Removes everything that a task left. */
  async remove(taskId: string): Promise<void> {
    await rm(this.#taskFolder(taskId), { recursive: true, force: true });
  }

  #taskFolder(taskId: string): string {
    if (seqOf(taskId) === undefined) {
      throw new AiwgdError('INVALID_PARAMS', `"${taskId}" is no task id; they look like task-0001.`);
    }
    return join(this.#actions, taskId);
  }
}

/** Up to `length` bytes from `offset` on; undefined where there is no such file, or something else in its place. */
async function readBytes(path: string, offset: number, length: number): Promise<Buffer | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, READ_ONLY);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  try {
    const found = await file.stat();
    if (!found.isFile()) return undefined;
    const { size } = found;
    const bytes = Buffer.alloc(Math.max(0, Math.min(length, size - offset)));
    let filled = 0;
    while (filled < bytes.length) {
      const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, offset + filled);
      // The file was cut short since we asked for its size.
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return bytes.subarray(0, filled);
  } finally {
    await file.close();
  }
}

/** How many bytes at the end begin a character that is not complete. */
function incompleteBytes(bytes: Buffer): number {
  for (let back = 1; back < LONGEST_CHARACTER && back <= bytes.length; back += 1) {
    const byte = bytes[bytes.length - back];
    if (!isContinuation(byte)) return characterLength(byte ?? 0) > back ? back : 0;
  }
  return 0;
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}

/** Length of the character that a byte begins; 1 also for a byte that begins none. */
function characterLength(byte: number): number {
  if (byte >= 0xf0 && byte <= 0xf4) return 4;
  if (byte >= 0xe0 && byte <= 0xef) return 3;
  return byte >= 0xc2 && byte <= 0xdf ? 2 : 1;
}

function requireByteCount(name: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0) return;
  throw new AiwgdError('INVALID_PARAMS', `${name} is ${value}; it must be a whole number of bytes.`);
}

/** ELOOP: a link stands there; ENXIO: a socket. */
const NO_FILE = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO']);

function isMissing(error: unknown): boolean {
  return NO_FILE.has((error as NodeJS.ErrnoException).code ?? '');
}
