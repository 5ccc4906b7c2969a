import type { OutputParser } from './agent-provider.js';
import type { AttemptFiles, StreamSizes } from './attempt-files.js';
import { LineSplitter } from './line-splitter.js';

const SLICE_BYTES = 256 * 1024;

/**
 * Follows what an attempt writes by looking at its files. Lines go to the parser; plain text is only measured. It reads
 * in slices and yields between them.
 */
export class OutputTail {
  readonly #files: AttemptFiles;
  readonly #parser: OutputParser;
  readonly #splitter: LineSplitter;
  #slice: Buffer | undefined;
  #position = 0;
  #error: Error | undefined;

  constructor(files: AttemptFiles, parser: OutputParser) {
    this.#files = files;
    this.#parser = parser;
    this.#splitter = new LineSplitter((line) => parser.line(line));
  }

  /** Lines that were too long to be read. */
  get skippedLines(): number {
    return this.#splitter.skipped;
  }

  /** Reads what there is. Never rejects: a file that cannot be read is told by `drain`, after the attempt's end. */
  async look(): Promise<StreamSizes | undefined> {
    if (this.#error !== undefined) return undefined;
    try {
      const sizes = this.#files.sizes();
      if (this.#parser.readsLines) await this.#readTo(sizes.stdout);
      return sizes;
    } catch (error) {
      this.#error = error instanceof Error ? error : new Error(String(error));
      return undefined;
    }
  }

  /** After the attempt's end: reads to the last byte, and answers what there is. Throws when a file cannot be read. */
  async drain(): Promise<StreamSizes> {
    if (this.#error !== undefined) throw this.#error;
    const sizes = this.#files.sizes();
    if (this.#parser.readsLines) {
      await this.#readTo(sizes.stdout);
      this.#splitter.end();
    }
    return sizes;
  }

  async #readTo(end: number): Promise<void> {
    // A shell's `> /dev/stdout` opens the file anew and cuts it off: what is written from there on is all new.
    if (end < this.#position) this.#position = 0;
    while (this.#position < end) {
      const length = Math.min(SLICE_BYTES, end - this.#position);
      // Waiting for a thread costs more than reading the little that most attempts write.
      const small = length < SLICE_BYTES / 4;
      this.#slice ??= Buffer.allocUnsafeSlow(small ? length : SLICE_BYTES);
      if (this.#slice.length < length) this.#slice = Buffer.allocUnsafeSlow(SLICE_BYTES);
      const count = small
        ? this.#files.readNow(this.#slice, length, this.#position)
        : await this.#files.read(this.#slice, length, this.#position);
      // Cut shorter by somebody else: there is no more to read.
      if (count === 0) return;
      this.#position += count;
      this.#splitter.push(this.#slice.subarray(0, count));
    }
  }
}
