import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  read,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { endOfBytes } from './agent-provider.js';

const { O_RDWR, O_CREAT, O_EXCL, O_APPEND } = constants;

export interface StreamSizes {
  stdout: number;
  stderr: number;
}

/**
 * The files of one attempt, open: the prompt as the agent's stdin, and what it writes. The agent writes to them
 * itself, so no byte passes through this process, and all of it is there whenever either of the two ends.
 */
export class AttemptFiles implements Disposable {
  readonly folder: string;
  readonly #open = new Set<number>();
  readonly stdin: number;
  readonly stdout: number;
  readonly stderr: number;

  /** Makes the folder (0700) and the files (0600) anew, even if an earlier attempt had them. Throws the system's error. */
  constructor(folder: string, prompt: string) {
    this.folder = folder;
    makeFolder(folder);
    try {
      this.stdin = this.#take(openSync(join(folder, 'prompt'), O_RDWR | O_CREAT | O_EXCL, 0o600));
      writePrompt(this.stdin, prompt);
      // Readable too, so that one descriptor serves the agent and us.
      const flags = O_RDWR | O_CREAT | O_EXCL | O_APPEND;
      this.stdout = this.#take(openSync(join(folder, 'stdout.log'), flags, 0o600));
      this.stderr = this.#take(openSync(join(folder, 'stderr.log'), flags, 0o600));
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  #take(file: number): number {
    this.#open.add(file);
    return file;
  }

  sizes(): StreamSizes {
    return { stdout: fstatSync(this.stdout).size, stderr: fstatSync(this.stderr).size };
  }

  /** Reads from stdout at a position, without blocking the event loop. Answers 0 at the end. */
  read(buffer: Buffer, length: number, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      read(this.stdout, buffer, 0, length, position, (error, count) => {
        if (error === null) resolve(count);
        else reject(error);
      });
    });
  }

  /** The same, at once: for a few bytes. */
  readNow(buffer: Buffer, length: number, position: number): number {
    return readSync(this.stdout, buffer, 0, length, position);
  }

  /** The end of a stream as text, cut at a whole character. */
  tail(stream: 'stdout' | 'stderr', limit: number): string {
    const file = stream === 'stdout' ? this.stdout : this.stderr;
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
    for (const file of this.#open) closeSync(file);
    this.#open.clear();
  }
}

/** Writes by position: the descriptor stays at its beginning, where the agent starts to read. */
function writePrompt(file: number, prompt: string): void {
  const bytes = Buffer.from(prompt);
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at, bytes.length - at, at);
}

function makeFolder(folder: string): void {
  // The folder of the task first: it is new for all but retried tasks.
  if (make(dirname(folder)) === 'missing') mkdirSync(dirname(folder), { recursive: true, mode: 0o700 });
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
