import type { Clock, Timer } from '../platform/clock.js';
import type { OutputParser } from './agent-provider.js';
import type { AttemptFiles, StreamSizes } from './attempt-files.js';
import { LineSplitter } from './line-splitter.js';

const SLICE_BYTES = 256 * 1024;
/** Also the time before the first look: a shorter attempt is read once, after its end. */
const QUICK_MS = 50;
const SLOW_MS = 250;

/**
 * Follows what a running attempt writes by looking at its files: every 50 ms while it flows, less often while it does
 * not. Lines go to the parser; plain text is only measured. It reads in slices and yields between them.
 */
export class OutputTail {
  readonly #files: AttemptFiles;
  readonly #parser: OutputParser;
  readonly #clock: Clock;
  readonly #onLook: (sizes: StreamSizes) => void;
  readonly #splitter: LineSplitter;
  #slice: Buffer | undefined;
  #position = 0;
  #total = 0;
  #interval = QUICK_MS;
  #timer: Timer | undefined;
  #looking: Promise<void> | undefined;
  #stopped = false;
  #error: Error | undefined;

  /** `onLook` is called after each look while the attempt runs. */
  constructor(files: AttemptFiles, parser: OutputParser, clock: Clock, onLook: (sizes: StreamSizes) => void) {
    this.#files = files;
    this.#parser = parser;
    this.#clock = clock;
    this.#onLook = onLook;
    this.#splitter = new LineSplitter((line) => parser.line(line));
  }

  /** Lines that were too long to be read. */
  get skippedLines(): number {
    return this.#splitter.skipped;
  }

  start(): void {
    this.#arm();
  }

  #arm(): void {
    this.#timer = this.#clock.setTimer(this.#interval, () => {
      this.#looking = this.#look();
    });
  }

  async #look(): Promise<void> {
    try {
      const sizes = this.#files.sizes();
      const total = sizes.stdout + sizes.stderr;
      this.#interval = total > this.#total ? QUICK_MS : Math.min(this.#interval * 2, SLOW_MS);
      this.#total = total;
      if (this.#parser.readsLines) await this.#readTo(sizes.stdout);
      if (this.#stopped) return;
      this.#onLook(sizes);
      this.#arm();
    } catch (error) {
      // Told by `drain`, which comes after the attempt's end.
      this.#error = error instanceof Error ? error : new Error(String(error));
    }
  }

  /** After the attempt's end: reads to the last byte, and answers what there is. Throws when a file cannot be read. */
  async drain(): Promise<StreamSizes> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#looking;
    if (this.#error !== undefined) throw this.#error;
    const sizes = this.#files.sizes();
    if (this.#parser.readsLines) {
      await this.#readTo(sizes.stdout);
      this.#splitter.end();
    }
    return sizes;
  }

  async #readTo(end: number): Promise<void> {
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
