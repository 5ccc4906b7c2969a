import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { basename, dirname } from 'node:path';
import { writeAll } from '../platform/atomic-file.js';
import { writeFaultText } from '../platform/write-fault.js';

export interface LogFileOptions {
  path: string;
  maxBytes: number;
  /** Rotated files kept beside the current one. */
  maxFiles: number;
  /** Told the reason when lines can't be written, and undefined when they can again. */
  onFault(error: Error | undefined): void;
  /** Also gets every line; the terminal of a daemon in the foreground. */
  echo?: (line: string) => void;
}

const LINE_FEED = 0x0a;
/** Lines kept in memory while the disk is full. */
const MAX_HELD_BYTES = 256 * 1024;

/**
 * The log's destination: whole lines, written synchronously (what was logged before a kill -9 is on disk), rotated by
 * size to `.1` … `.N`; what a kill cut off is put right when it is opened again. A line larger than a file has one of its
 * own. While the disk is full, lines wait in memory, bounded; what had to be dropped is counted and said.
 */
export class LogFile {
  #options: LogFileOptions;
  #file: number;
  #size: number;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #dropped = 0;
  #faulty = false;
  #closed = false;

  constructor(options: LogFileOptions) {
    this.#options = options;
    this.#file = openForAppend(options.path);
    this.#size = fstatSync(this.#file).size;
    this.#renumber();
  }

  /** Files that are too many go at once, the new size holds from the next line on. */
  resize(maxBytes: number, maxFiles: number): void {
    this.#options = { ...this.#options, maxBytes, maxFiles };
    try {
      this.#renumber();
    } catch (error) {
      this.#report(faultOf(this.#options.path, error));
    }
  }

  /** pino's interface of a destination: one call a line. */
  write(line: string): void {
    if (this.#closed) return;
    this.#options.echo?.(line);
    this.#hold(Buffer.from(line));
    try {
      this.#flush();
      this.#report(undefined);
    } catch (error) {
      this.#report(faultOf(this.#options.path, error));
    }
  }

  /** Later lines go nowhere: the descriptor may belong to somebody else by then. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#file);
  }

  #report(error: Error | undefined): void {
    if (error === undefined && !this.#faulty) return;
    this.#faulty = error !== undefined;
    this.#options.onFault(error);
  }

  #hold(line: Buffer): void {
    this.#held.push(line);
    this.#heldBytes += line.length;
    while (this.#heldBytes > MAX_HELD_BYTES && this.#held.length > 1) {
      this.#heldBytes -= this.#held.shift()?.length ?? 0;
      this.#dropped += 1;
    }
  }

  #flush(): void {
    for (let line = this.#held[0]; line !== undefined; line = this.#held[0]) {
      // In one piece with the line after the gap: where that has no room, the gap is not told either.
      this.#append(this.#dropped > 0 ? Buffer.concat([droppedNotice(this.#dropped), line]) : line);
      this.#dropped = 0;
      this.#held.shift();
      this.#heldBytes -= line.length;
    }
  }

  #append(line: Buffer): void {
    const { nlink, size } = fstatSync(this.#file);
    this.#size = size;
    // Somebody deleted it: what goes on into it nobody can read.
    if (nlink === 0) this.#open();
    if (this.#size > 0 && this.#size + line.length > this.#options.maxBytes) this.#rotate();
    try {
      writeAll(this.#file, line);
    } catch (error) {
      // Half a line may have got in before the disk was full: the file holds whole lines only.
      ftruncateSync(this.#file, this.#size);
      throw error;
    }
    this.#size += line.length;
  }

  #rotate(): void {
    const { path } = this.#options;
    // Moved away by somebody else, or by an earlier try that came no further: nothing is left to shift.
    if (existsSync(path)) this.#shift();
    this.#open();
  }

  #shift(): void {
    const { path, maxFiles } = this.#options;
    const count = Math.min(this.#renumber(), maxFiles - 1);
    for (let n = count; n >= 1; n -= 1) renameSync(`${path}.${n}`, `${path}.${n + 1}`);
    if (maxFiles > 0) renameSync(path, `${path}.1`);
    else rmSync(path);
  }

  /**
   * Closes the gaps that a rotation cut off in the middle leaves in the numbers, so that no file is pushed out before
   * its time, and removes what is more than asked for. Answers how many rotated files there are.
   */
  #renumber(): number {
    const { path, maxFiles } = this.#options;
    const numbers = rotatedNumbers(path);
    for (const [index, number] of numbers.entries()) {
      if (index >= maxFiles) rmSync(`${path}.${number}`);
      else if (number !== index + 1) renameSync(`${path}.${number}`, `${path}.${index + 1}`);
    }
    return Math.min(numbers.length, maxFiles);
  }

  #open(): void {
    const next = openForAppend(this.#options.path);
    closeSync(this.#file);
    this.#file = next;
    this.#size = fstatSync(next).size;
  }
}

/** The numbers behind the names of rotated files, newest first; a date that another program appended is none. */
function rotatedNumbers(path: string): number[] {
  const prefix = `${basename(path)}.`;
  return readdirSync(dirname(path))
    .filter((name) => name.startsWith(prefix) && /^[1-9]\d{0,3}$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)))
    .toSorted((a, b) => a - b);
}

/** Half a line, which a kill in the middle of a write leaves, is cut off: the next one would be written onto it. */
function openForAppend(path: string): number {
  const file = openSync(path, 'a+', 0o600);
  try {
    const { size } = fstatSync(file);
    const whole = endOfLastLine(file, size);
    if (whole < size) ftruncateSync(file, whole);
    return file;
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

/** The number of bytes up to the last line feed, found from the end. */
function endOfLastLine(file: number, size: number): number {
  const block = Buffer.alloc(4096);
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - block.length);
    const count = readSync(file, block, 0, end - start, start);
    const found = block.lastIndexOf(LINE_FEED, count - 1);
    if (found >= 0) return start + found + 1;
    end = start;
  }
  return 0;
}

function faultOf(path: string, error: unknown): Error {
  return new Error(writeFaultText(path, error), { cause: error });
}

function droppedNotice(lines: number): Buffer {
  return Buffer.from(`${JSON.stringify({ level: 'warn', msg: 'log lines dropped', lines })}\n`);
}
