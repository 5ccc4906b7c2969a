const NEWLINE = 0x0a;

/** Longest line that is kept; a longer one is passed over and counted. */
export const MAX_LINE_BYTES = 8 * 1024 * 1024;

/** Cuts a stream of bytes into lines, wherever the pieces begin and end; memory is bounded by the longest line. */
export class LineSplitter {
  readonly #onLine: (line: Buffer) => void;
  readonly #maxLineBytes: number;
  /** The beginning of a line whose end has not come. */
  #parts: Buffer[] = [];
  #pending = 0;
  #tooLong = false;
  /** Lines that were too long. */
  skipped = 0;

  constructor(onLine: (line: Buffer) => void, maxLineBytes: number = MAX_LINE_BYTES) {
    this.#onLine = onLine;
    this.#maxLineBytes = maxLineBytes;
  }

  /** The bytes may be reused by the caller afterwards. */
  push(bytes: Buffer): void {
    let start = 0;
    for (;;) {
      const end = bytes.indexOf(NEWLINE, start);
      if (end < 0) break;
      this.#close(bytes.subarray(start, end));
      start = end + 1;
    }
    if (start < bytes.length) this.#keep(bytes.subarray(start));
  }

  /** The stream is over: what stands after the last newline is a line too. */
  end(): void {
    if (this.#pending > 0 || this.#tooLong) this.#close(Buffer.alloc(0));
  }

  #keep(bytes: Buffer): void {
    this.#pending += bytes.length;
    if (this.#pending > this.#maxLineBytes) {
      this.#tooLong = true;
      this.#parts = [];
    }
    if (!this.#tooLong) this.#parts.push(Buffer.from(bytes));
  }

  #close(rest: Buffer): void {
    if (this.#tooLong || this.#pending + rest.length > this.#maxLineBytes) this.skipped += 1;
    else this.#onLine(this.#pending === 0 ? rest : Buffer.concat([...this.#parts, rest]));
    this.#parts = [];
    this.#pending = 0;
    this.#tooLong = false;
  }
}
