import { closeSync, existsSync, fstatSync, ftruncateSync, openSync, renameSync, rmSync } from 'node:fs';
import { writeAll } from '../platform/atomic-file.js';

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

/** Lines kept in memory while the disk is full. */
const MAX_HELD_BYTES = 256 * 1024;

/**
 * The log's destination: whole lines, written synchronously (what was logged before a kill -9 is on disk), rotated by
 * size to `.1` … `.N`. While the disk is full, lines wait in memory, bounded; what had to be dropped is counted and said.
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
    this.#file = openSync(options.path, 'a', 0o600);
    this.#size = fstatSync(this.#file).size;
  }

  /** Takes effect with the next line. */
  resize(maxBytes: number, maxFiles: number): void {
    for (let n = maxFiles + 1; n <= this.#options.maxFiles; n += 1)
      rmSync(`${this.#options.path}.${n}`, { force: true });
    this.#options = { ...this.#options, maxBytes, maxFiles };
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
      this.#report(error as Error);
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
    for (let n = maxFiles - 1; n >= 1; n -= 1) {
      if (existsSync(`${path}.${n}`)) renameSync(`${path}.${n}`, `${path}.${n + 1}`);
    }
    if (maxFiles > 0) renameSync(path, `${path}.1`);
    else rmSync(path);
  }

  #open(): void {
    const next = openSync(this.#options.path, 'a', 0o600);
    closeSync(this.#file);
    this.#file = next;
    this.#size = fstatSync(next).size;
  }
}

function droppedNotice(lines: number): Buffer {
  return Buffer.from(`${JSON.stringify({ level: 'warn', msg: 'log lines dropped', lines })}\n`);
}
