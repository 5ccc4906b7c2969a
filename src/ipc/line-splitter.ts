import { isUtf8 } from 'node:buffer';

/** Longest line that either side accepts, in bytes, without its newline. */
export const MAX_LINE_BYTES = 16 * 1024 * 1024;

/** A line that is not UTF-8. The lines after it are unharmed. */
export const NOT_UTF8: unique symbol = Symbol('not UTF-8');

/** A line over the limit. It is reported once, and nothing after it is read: where it would end, nobody knows. */
export const TOO_LONG: unique symbol = Symbol('line too long');

export type Line = string | typeof NOT_UTF8 | typeof TOO_LONG;

const NEWLINE = 10;
const SMALLEST_HOLD = 1024;
/** A larger buffer is given back after its line, so that one long message does not cost memory for ever. */
const LARGEST_KEPT_HOLD = 64 * 1024;

/**
 * Cuts a stream of bytes into lines, on demand: after each `push`, call `next` until it answers undefined. A reader
 * that stops in between has at most one chunk waiting. Time is linear in the bytes, whatever the chunks are; memory is
 * one line and one chunk. `\r\n` ends a line too, and empty lines are passed over.
 */
export class LineSplitter {
  readonly #maxLineBytes: number;
  /** The beginning of a line whose end has not come yet. */
  #hold: Buffer = Buffer.alloc(0);
  #heldBytes = 0;
  /** Whole lines, each with its newline: as text where all of it is UTF-8, else as bytes. */
  #text = '';
  #textAt = 0;
  #bytes: Buffer | undefined;
  /** Lines that were put together from several chunks; they come before `#text` and `#bytes`. */
  #first: Line | undefined;
  /** Set when the unfinished line is over the limit; reported after the lines before it. */
  #overflown = false;
  /** Nothing more will come: what is held is the last line. */
  #finished = false;
  #ended = false;

  constructor(maxLineBytes: number = MAX_LINE_BYTES) {
    this.#maxLineBytes = maxLineBytes;
  }

  /** Takes the next chunk. Only when `next` has answered undefined; the chunk must not change afterwards. */
  push(chunk: Buffer): void {
    if (this.#ended || this.#overflown) return;
    const last = chunk.lastIndexOf(NEWLINE);
    if (last === -1) {
      this.#keep(chunk);
      return;
    }
    let from = 0;
    if (this.#heldBytes > 0) {
      const end = chunk.indexOf(NEWLINE);
      this.#keep(chunk.subarray(0, end));
      if (this.#overflown) return;
      this.#first = this.#takeHeld();
      from = end + 1;
    }
    if (from <= last) this.#takeLines(chunk.subarray(from, last + 1));
    if (last + 1 < chunk.length) this.#keep(chunk.subarray(last + 1));
  }

  /** At the end of the stream, at any time: what is left without a newline counts as a line, after all others. */
  finish(): void {
    this.#finished = true;
  }

  /** The next line, or undefined when the next chunk is needed. */
  next(): Line | undefined {
    if (this.#ended) return undefined;
    if (this.#first !== undefined) {
      const line = this.#first;
      this.#first = undefined;
      if (line !== '') return line;
    }
    const line = this.#text === '' ? this.#nextOfBytes() : this.#nextOfText();
    if (line === undefined && this.#overflown) {
      this.#ended = true;
      return TOO_LONG;
    }
    if (line === TOO_LONG) this.#ended = true;
    return line ?? this.#lastLine();
  }

  #lastLine(): Line | undefined {
    if (!this.#finished || this.#heldBytes === 0) return undefined;
    const line = this.#takeHeld();
    return line === '' ? undefined : line;
  }

  #nextOfText(): string | undefined {
    const text = this.#text;
    while (this.#textAt < text.length) {
      const start = this.#textAt;
      const end = text.indexOf('\n', start);
      this.#textAt = end + 1;
      const stop = text.charCodeAt(end - 1) === 13 ? end - 1 : end;
      if (stop > start) return text.slice(start, stop);
    }
    this.#text = '';
    return undefined;
  }

  #nextOfBytes(): Line | undefined {
    while (this.#bytes !== undefined) {
      const bytes = this.#bytes;
      const end = bytes.indexOf(NEWLINE);
      this.#bytes = end + 1 < bytes.length ? bytes.subarray(end + 1) : undefined;
      if (end > this.#maxLineBytes) return TOO_LONG;
      const line = decode(bytes.subarray(0, end));
      if (line !== '') return line;
    }
    return undefined;
  }

  #takeLines(lines: Buffer): void {
    // One conversion for all of them is several times as fast as one for each.
    if (lines.length <= this.#maxLineBytes && isUtf8(lines)) {
      this.#text = lines.toString('utf8');
      this.#textAt = 0;
    } else {
      this.#bytes = lines;
    }
  }

  #keep(piece: Buffer): void {
    const length = this.#heldBytes + piece.length;
    if (length > this.#maxLineBytes) {
      this.#overflown = true;
      this.#release();
      return;
    }
    if (length > this.#hold.length) {
      const size = Math.min(Math.max(length, 2 * this.#hold.length, SMALLEST_HOLD), this.#maxLineBytes);
      const larger = Buffer.allocUnsafeSlow(size);
      this.#hold.copy(larger, 0, 0, this.#heldBytes);
      this.#hold = larger;
    }
    piece.copy(this.#hold, this.#heldBytes);
    this.#heldBytes = length;
  }

  #takeHeld(): Line {
    const line = decode(this.#hold.subarray(0, this.#heldBytes));
    if (this.#hold.length > LARGEST_KEPT_HOLD) this.#release();
    this.#heldBytes = 0;
    return line;
  }

  #release(): void {
    this.#hold = Buffer.alloc(0);
    this.#heldBytes = 0;
  }
}

function decode(bytes: Buffer): Line {
  const end = bytes.at(-1) === 13 ? bytes.length - 1 : bytes.length;
  const line = bytes.subarray(0, end);
  return isUtf8(line) ? line.toString('utf8') : NOT_UTF8;
}
