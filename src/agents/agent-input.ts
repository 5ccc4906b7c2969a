import { closeSync, constants, fstatSync, lstatSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { libc } from '../platform/libc.js';
import { messageOf } from '../protocol/errors.js';
import { LaunchRefused } from './launcher.js';

const { O_RDWR, O_WRONLY, O_NOFOLLOW, O_NONBLOCK } = constants;

const FIFO = 'stdin';
/** As much as Linux gives a pipe of an ordinary user. */
const WANTED_BYTES = 1024 * 1024;
/** Up to so much is written as a whole or not at all: PIPE_BUF of pipe(7), and of macOS. */
const WHOLE_BYTES = process.platform === 'linux' ? 4096 : 512;

/**
 * Our end of the FIFO that an agent reads as its stdin. The agent holds it open for reading and writing, so it lives as
 * long as the agent and never ends, whatever becomes of us: whoever has something to say opens it anew. Nothing here
 * waits: neither for a reader nor for room.
 */
export class AgentInput implements Disposable {
  readonly #file: number;
  /** The end of a line whose beginning did fit. */
  #rest: Buffer | undefined;

  private constructor(file: number) {
    this.#file = file;
  }

  /**
   * Makes the FIFO and puts `text` into it, before there is an agent that could get half of it. `forAgent` becomes the
   * agent's stdin and is the caller's to close. Throws a `LaunchRefused` for a text that does not fit, else the system's
   * error.
   */
  static make(folder: string, text: string): { input: AgentInput; forAgent: number } {
    const path = join(folder, FIFO);
    makeFifo(path);
    // For reading and writing: that waits for nobody, and the agent never reads an end.
    const forAgent = openSync(path, O_RDWR | O_NOFOLLOW);
    try {
      // Opened apart: that we must not wait is none of the agent's business.
      const file = openSync(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK);
      const input = new AgentInput(file);
      try {
        libc().enlargePipe(file, WANTED_BYTES);
        fill(file, Buffer.from(text));
        return { input, forAgent };
      } catch (error) {
        input[Symbol.dispose]();
        throw error;
      }
    } catch (error) {
      closeSync(forAgent);
      throw error;
    }
  }

  /** The FIFO of an attempt that an earlier daemon launched; undefined where nobody reads it any more, or it is none. */
  static reopen(folder: string): AgentInput | undefined {
    let file: number;
    try {
      file = openSync(join(folder, FIFO), O_WRONLY | O_NOFOLLOW | O_NONBLOCK);
    } catch {
      // ENXIO: the agent has ended. Else: it has removed its own stdin, or put something in its place.
      return undefined;
    }
    if (fstatSync(file).isFIFO()) return new AgentInput(file);
    closeSync(file);
    return undefined;
  }

  /** A FIFO that nobody reads makes whoever opens it wait: it goes with its attempt. Never throws. */
  static remove(folder: string): void {
    const path = join(folder, FIFO);
    try {
      if (lstatSync(path).isFIFO()) unlinkSync(path);
    } catch {
      // The agent has removed it, or the folder: there is none to wait at.
    }
  }

  /**
   * Hands over a line, which ends with a newline. False where there is no room for it now: nothing of it was written.
   * Throws the system's error, EPIPE where the agent has gone.
   */
  say(line: string): boolean {
    if (!this.#finish()) return false;
    const bytes = Buffer.from(line);
    // A longer one is written as a whole only into an empty pipe: half of it would be all that the agent ever gets if
    // we were killed then.
    if (bytes.length > WHOLE_BYTES && libc().unread(this.#file) > 0) return false;
    const count = write(this.#file, bytes);
    if (count === 0) return false;
    if (count < bytes.length) this.#rest = bytes.subarray(count);
    return true;
  }

  /** Writes on where a line was too long for the pipe; false while it is not through. */
  #finish(): boolean {
    if (this.#rest === undefined) return true;
    const count = write(this.#file, this.#rest);
    this.#rest = count < this.#rest.length ? this.#rest.subarray(count) : undefined;
    return this.#rest === undefined;
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }
}

/** What a file system without FIFOs says, as many network and FAT ones are. */
const NEVER = new Set(['EPERM', 'ENOSYS', 'ENOTSUP', 'EINVAL']);

/** What would never work is no passing fault of the machine, for which all tasks wait. */
function makeFifo(path: string): void {
  try {
    libc().makeFifo(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== undefined && !NEVER.has(code)) throw error;
    throw new LaunchRefused(
      `The agent cannot be given answers to its questions: ${messageOf(error)}; set its "approvals" to "off", or put the project where FIFOs can be made`,
      'bad_arguments',
      error,
    );
  }
}

function fill(file: number, bytes: Buffer): void {
  const count = write(file, bytes);
  if (count === bytes.length) return;
  throw new LaunchRefused(
    `The prompt takes ${bytes.length} bytes, but only ${count} fit into the pipe by which an agent gets it that may ask for permission; put long texts into a file and name it in the prompt`,
    'bad_arguments',
  );
}

/** How much of it was written; 0 where the pipe is full. */
function write(file: number, bytes: Buffer): number {
  try {
    return bytes.length === 0 ? 0 : writeSync(file, bytes);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0;
    throw error;
  }
}
