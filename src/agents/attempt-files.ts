import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  read,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { endOfBytes } from './agent-provider.js';
import { type AttemptHeader, parseHeader } from './attempt-header.js';
import type { LaunchFiles } from './launcher.js';
import { NOTES_BYTES, parseNotes, type RunnerNotes } from './runner.js';

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_APPEND, O_NOFOLLOW, O_NONBLOCK } = constants;

export interface StreamSizes {
  stdout: number;
  stderr: number;
}

/**
 * The files of one attempt, open. The agent writes to them itself, so no byte passes through this process, and all of
 * it is there whenever either of the two ends. `runner` is the attempt's record: first a header that says whose it is,
 * then what the runner writes.
 */
export class AttemptFiles implements Disposable {
  readonly #open: ReadonlySet<number>;
  readonly #record: number;
  readonly #stdout: number;
  readonly #stderr: number;
  /** Where in the record the runner's lines begin. */
  readonly #notesAt: number;
  #closed = false;

  private constructor(
    open: Set<number>,
    [record, stdout, stderr]: readonly [number, number, number],
    notesAt: number,
  ) {
    this.#open = open;
    this.#notesAt = notesAt;
    this.#record = record;
    this.#stdout = stdout;
    this.#stderr = stderr;
  }

  /**
   * Makes the folder (0700) and the files (0600) anew, even if an earlier attempt had them, and hands those of the agent
   * to `launch`. Throws the system's error, or what `launch` throws; then nothing is left open.
   */
  static create(
    folder: string,
    stdin: string | null,
    header: AttemptHeader,
    launch: (files: LaunchFiles) => void,
  ): AttemptFiles {
    makeFolder(folder);
    const open = new Set<number>();
    const take = (name: string, flags: number): number => {
      const file = openSync(join(folder, name), O_RDWR | O_CREAT | O_EXCL | flags, 0o600);
      open.add(file);
      return file;
    };
    try {
      // Read from its beginning: written by position, the descriptor stays there.
      const prompt = take('prompt', 0);
      writeAll(prompt, Buffer.from(stdin ?? ''), 0);
      // Readable too, so that one descriptor serves the agent and us.
      const stdout = take('stdout.log', O_APPEND);
      const stderr = take('stderr.log', O_APPEND);
      const record = take('runner', 0);
      const notesAt = prepareRecord(record, header);
      launch({ stdin: prompt, stdout, stderr, record });
      closeSync(prompt);
      open.delete(prompt);
      return new AttemptFiles(open, [record, stdout, stderr], notesAt);
    } catch (error) {
      for (const file of open) closeSync(file);
      throw error;
    }
  }

  /**
   * Opens the files of an attempt that an earlier daemon launched. Undefined where the folder holds none, or those of
   * another attempt. Throws the system's error.
   */
  static reopen(
    folder: string,
    attemptId: string,
  ): { files: AttemptFiles; header: AttemptHeader } | undefined {
    const open = new Set<number>();
    const take = (name: string, flags: number): number => {
      // Whatever the agent has put there: a link is not followed, a FIFO holds nobody.
      const file = openSync(join(folder, name), flags | O_NOFOLLOW | O_NONBLOCK, 0o600);
      open.add(file);
      if (!fstatSync(file).isFile()) throw new Error(`${join(folder, name)} is not a file`);
      return file;
    };
    try {
      const record = take('runner', O_RDONLY);
      const head = headOf(record);
      const header = parseHeader(head);
      if (header?.attemptId !== attemptId) {
        closeSync(record);
        return undefined;
      }
      const notesAt = Buffer.byteLength(head.slice(0, head.indexOf('\n') + 1));
      // Empty ones in the place of files that are gone: the agent still lives, and how it ends still counts.
      const streams = [
        take('stdout.log', O_RDONLY | O_CREAT),
        take('stderr.log', O_RDONLY | O_CREAT),
      ] as const;
      const files = new AttemptFiles(open, [record, ...streams], notesAt);
      return { files, header };
    } catch (error) {
      for (const file of open) closeSync(file);
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** What the runner has written so far. */
  notes(): RunnerNotes {
    const bytes = Buffer.allocUnsafe(NOTES_BYTES);
    const count = readSync(this.#record, bytes, 0, NOTES_BYTES, this.#notesAt);
    return parseNotes(bytes.toString('utf8', 0, count));
  }

  /** When the runner wrote last, in milliseconds since 1970. */
  notedAt(): number {
    return fstatSync(this.#record).mtimeMs;
  }

  sizes(): StreamSizes {
    return { stdout: fstatSync(this.#stdout).size, stderr: fstatSync(this.#stderr).size };
  }

  /** Reads from stdout at a position, without blocking the event loop. Answers 0 at the end. */
  read(buffer: Buffer, length: number, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      read(this.#stdout, buffer, 0, length, position, (error, count) => {
        if (error === null) resolve(count);
        else reject(error);
      });
    });
  }

  /** The same, at once: for a few bytes. */
  readNow(buffer: Buffer, length: number, position: number): number {
    return readSync(this.#stdout, buffer, 0, length, position);
  }

  /** The end of a stream as text, cut at a whole character. */
  tail(stream: 'stdout' | 'stderr', limit: number): string {
    const file = stream === 'stdout' ? this.#stdout : this.#stderr;
    const { size } = fstatSync(file);
    if (size === 0) return '';
    // Four bytes more than asked for, so that the cut finds the beginning of a character.
    const length = Math.min(size, limit + 4);
    const bytes = Buffer.allocUnsafe(length);
    let filled = 0;
    while (filled < length) {
      const count = readSync(file, bytes, filled, length - filled, size - length + filled);
      if (count === 0) break;
      filled += count;
    }
    return endOfBytes(bytes.subarray(0, filled), limit);
  }

  /** Closes what is open; doing so again does nothing. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const file of this.#open) closeSync(file);
  }
}

/**
 * The header, and blanks for the runner to write over. The descriptor, which the runner inherits, stands after the
 * header. Answers where that is.
 */
function prepareRecord(file: number, header: AttemptHeader): number {
  const line = Buffer.from(`${JSON.stringify(header)}\n`);
  writeAll(file, Buffer.alloc(NOTES_BYTES, ' '), line.length);
  for (let at = 0; at < line.length; ) at += writeSync(file, line, at);
  return line.length;
}

/** Far more than a header takes. */
const MAX_HEADER_BYTES = 1024 * 1024;

function headOf(record: number): string {
  const bytes = Buffer.allocUnsafe(Math.min(fstatSync(record).size, MAX_HEADER_BYTES));
  return bytes.toString('utf8', 0, readSync(record, bytes, 0, bytes.length, 0));
}

function writeAll(file: number, bytes: Buffer, position: number): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at, bytes.length - at, position + at);
}

function makeFolder(folder: string): void {
  // The folder of the task first: it is new for all but retried tasks.
  const ofTask = dirname(folder);
  const before = make(ofTask);
  if (before === 'missing') mkdirSync(ofTask, { recursive: true, mode: 0o700 });
  // An agent may have put a file or a link there: such a task would hold up the queue for ever.
  if (before === 'there' && !lstatSync(ofTask).isDirectory()) {
    rmSync(ofTask);
    mkdirSync(ofTask, { mode: 0o700 });
  }
  if (make(folder) !== 'there') return;
  // Numbers repeat after a retry by hand. Nothing that the earlier attempt left is used again: its outcome is not this
  // one's, its processes may still hold the files, and the agent may have put anything in their place.
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { mode: 0o700 });
}

function make(folder: string): 'made' | 'there' | 'missing' {
  try {
    mkdirSync(folder, { mode: 0o700 });
    return 'made';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return 'there';
    if (code === 'ENOENT') return 'missing';
    throw error;
  }
}
