import { readSync } from 'node:fs';

const BLOCK_BYTES = 65_536;
const NEWLINE = 0x0a;

/**
 * The lines of the first `size` bytes of an open file, last line first, read in blocks from the end: the cost goes with
 * the lines taken, not with the file. Bytes after the last newline are no line yet and are left out.
 */
export function* linesBackward(file: number, size: number): Generator<string> {
  /** Pieces of the line whose end was seen and whose start was not, in reverse order; undefined before any newline. */
  let pieces: Buffer[] | undefined;
  for (let end = size; end > 0; ) {
    const block = readExactly(file, Math.max(0, end - BLOCK_BYTES), Math.min(BLOCK_BYTES, end));
    end -= Math.min(BLOCK_BYTES, end);
    let tail = block.length;
    for (
      let at = block.lastIndexOf(NEWLINE);
      at >= 0;
      at = at === 0 ? -1 : block.lastIndexOf(NEWLINE, at - 1)
    ) {
      if (pieces !== undefined) {
        pieces.push(block.subarray(at + 1, tail));
        yield join(pieces);
      }
      pieces = [];
      tail = at;
    }
    pieces?.push(block.subarray(0, tail));
  }
  if (pieces !== undefined) yield join(pieces);
}

/** Where the last complete line of the first `size` bytes ends. */
export function endOfLastLine(file: number, size: number): number {
  for (let end = size; end > 0; ) {
    const length = Math.min(BLOCK_BYTES, end);
    const newline = readExactly(file, end - length, length).lastIndexOf(NEWLINE);
    if (newline >= 0) return end - length + newline + 1;
    end -= length;
  }
  return 0;
}

function join(pieces: Buffer[]): string {
  return Buffer.concat(pieces.toReversed()).toString('utf8');
}

/** As many of the bytes as there are. */
export function readExactly(file: number, position: number, length: number): Buffer {
  const block = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const count = readSync(file, block, filled, length - filled, position + filled);
    if (count === 0) break;
    filled += count;
  }
  return block.subarray(0, filled);
}
