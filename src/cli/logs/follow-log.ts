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
  // Newest last; all but the last are rotated files that get no more lines.
  let readers = point === undefined ? [] : [new ForwardReader(point)];
  try {
    while (!signal.aborted) {
      const newest = readers.at(-1);
      const current = currentId(path);
      if (current !== undefined && current !== newest?.id) {
        const newer = [...openLogs(path, newest?.id)].toReversed();
        readers.push(...newer.map(({ file, id }) => new ForwardReader({ file, id, offset: 0 })));
      }
      // The newest is looked at after its successors were found: what came into it before the rotation is there.
      for (const reader of readers) yield* reader.newLines();
      for (const reader of readers.slice(0, -1)) {
        yield* reader.unfinishedLine();
        reader.close();
      }
      readers = readers.slice(-1);
      const now = currentId(path);
      if (now === undefined || now === readers.at(-1)?.id) await sleep(clock, POLL_MS, signal);
    }
  } finally {
    for (const reader of readers) reader.close();
  }
}
