import { closeSync, fstatSync, statSync } from 'node:fs';
import { type Clock, sleep } from '../../platform/clock.js';
import { readExactly } from './backward-lines.js';
import { openLogs } from './log-files.js';
import type { FollowPoint } from './read-tail.js';

const POLL_MS = 150;
const BLOCK_BYTES = 262_144;
const NEWLINE = 0x0a;

/** Reads one file forward, line by line. */
class ForwardReader {
  readonly id: string;
  readonly #file: number;
  #offset: number;
  #rest = Buffer.alloc(0);

  constructor({ file, id, offset }: FollowPoint) {
    this.#file = file;
    this.id = id;
    this.#offset = offset;
  }

  /** The complete lines that have come since the last call. */
  *newLines(): Generator<string> {
    // Emptied in place by somebody else's rotation: what is in it now is new.
    if (fstatSync(this.#file).size < this.#offset) this.#offset = 0;
    for (;;) {
      const block = readExactly(this.#file, this.#offset, BLOCK_BYTES);
      if (block.length === 0) return;
      this.#offset += block.length;
      const bytes = Buffer.concat([this.#rest, block]);
      let start = 0;
      for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
        yield bytes.toString('utf8', start, end);
        start = end + 1;
      }
      this.#rest = bytes.subarray(start);
    }
  }

  /** What a file that gets no more ends with, where that is not a newline: a full disk cut the line short. */
  *unfinishedLine(): Generator<string> {
    if (this.#rest.length > 0) yield this.#rest.toString('utf8');
  }

  close(): void {
    closeSync(this.#file);
  }
}

function currentId(path: string): string | undefined {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? undefined : `${stats.dev}:${stats.ino}`;
}

/**
 * The lines that a log gets from `point` on (from the start of the log where there was none), across any number of
 * rotations: none twice, and none lost unless a file was deleted before it could be read. Ends when `signal` is aborted.
 */
export async function* followLog(
  path: string,
  point: FollowPoint | undefined,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const readers = new Readers(path, point);
  try {
    while (!signal.aborted) {
      yield* readers.newLines();
      if (!readers.isBehind()) await sleep(clock, POLL_MS, signal);
    }
  } finally {
    readers.close();
  }
}

/** The current file of a log, and those that were rotated away before they were read to their end. */
class Readers {
  readonly #path: string;
  /** Newest last; all but the last are rotated files that get no more lines. */
  #readers: ForwardReader[];

  constructor(path: string, point: FollowPoint | undefined) {
    this.#path = path;
    this.#readers = point === undefined ? [] : [new ForwardReader(point)];
  }

  *newLines(): Generator<string> {
    if (this.isBehind()) {
      const newer = [...openLogs(this.#path, this.#readers.at(-1)?.id)].toReversed();
      this.#readers.push(...newer.map(({ file, id }) => new ForwardReader({ file, id, offset: 0 })));
    }
    // The newest is read after its successors were found: what came into it before the rotation is there.
    for (const reader of this.#readers) yield* reader.newLines();
    for (const reader of this.#readers.slice(0, -1)) {
      yield* reader.unfinishedLine();
      reader.close();
    }
    this.#readers = this.#readers.slice(-1);
  }

  /** Whether the log goes on in another file than the newest that is read. */
  isBehind(): boolean {
    const current = currentId(this.#path);
    return current !== undefined && current !== this.#readers.at(-1)?.id;
  }

  close(): void {
    for (const reader of this.#readers) reader.close();
  }
}
