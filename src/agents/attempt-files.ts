import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  read,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { makeFolders } from '../platform/make-folder.js';
import { AgentInput } from './agent-input.js';
import { endOfBytes } from './agent-provider.js';
import { type AttemptHeader, parseHeader, type WrittenHeader } from './attempt-header.js';
import type { LaunchFiles } from './launcher.js';
import { NOTES_BYTES, parseNotes, type RunnerNotes } from './runner.js';

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_APPEND, O_NOFOLLOW, O_NONBLOCK } = constants;

/** Above an attempt's folder: its task's, `actions`, `daemon`, `.aiwg`. A project that was removed is not brought back. */
export const OWN_FOLDERS = 4;

/** Name of the event that goes along with a task. */
export const EVENT_FILE = 'event.json';

/** Name of an attempt's record. */
const RECORD = 'runner';

/** Room for a word and a newline. */
const ENDING_BYTES = 16;
/** Room for milliseconds, a word and a newline. */
const WAITED_BYTES = 32;
// One for all attempts: each look at a record would leave four kilobytes to be collected.
const scratch = Buffer.alloc(NOTES_BYTES);
const BLANKS = Buffer.alloc(NOTES_BYTES, ' ');

/** What the agent is given to read. */
export interface AttemptTexts {
  /** Null for an empty stdin. */
  stdin: string | null;
  /** True where stdin is a FIFO, for more to follow. */
  staysOpen: boolean;
  /** Null for no such file. */
  event: string | null;
}

/** Time that does not count against the limits of an attempt. */
export interface Waited {
  /** Milliseconds that are over. */
  ms: number;
  waiting: boolean;
}

export interface StreamSizes {
  stdout: number;
  stderr: number;
}

/**
 * The files of one attempt, open. The agent writes to them itself, so no byte passes through this process, and all of
 * it is there whenever either of the two ends. `runner` is the attempt's record: first a header that says whose it is,
 * then what the runner writes.
 */
export class AttemptFiles implements Disposable {
  readonly #open: ReadonlySet<number>;
  readonly #record: number;
  readonly #stdout: number;
  readonly #stderr: number;
  readonly #places: RecordPlaces;
  /** By which the agent can be told more; undefined for most. */
  readonly input: AgentInput | undefined;
  #closed = false;

  private constructor(
    open: Set<number>,
    [record, stdout, stderr]: readonly [number, number, number],
    places: RecordPlaces,
    input: AgentInput | undefined,
  ) {
    this.#open = open;
    this.#places = places;
    this.#record = record;
    this.#stdout = stdout;
    this.#stderr = stderr;
    this.input = input;
  }

  /**
   * Makes the folder (0700) and the files (0600) anew, even if an earlier attempt had them, and hands those of the agent
   * to `launch`. Throws the system's error, or what `launch` throws; then nothing is left open.
   */
  static create(
    folder: string,
    { stdin, staysOpen, event }: AttemptTexts,
    header: AttemptHeader,
    launch: (files: LaunchFiles) => void,
  ): AttemptFiles {
    makeFolder(folder);
    const open = new Set<number>();
    let input: AgentInput | undefined;
    const take = (name: string, flags: number): number => {
      const file = openSync(join(folder, name), O_RDWR | O_CREAT | O_EXCL | flags, 0o600);
      open.add(file);
      return file;
    };
    const release = (file: number): void => {
      closeSync(file);
      open.delete(file);
    };
    try {
      if (event !== null) {
        const file = take(EVENT_FILE, 0);
        writeAll(file, Buffer.from(event), 0);
        release(file);
      }
      // Read from its beginning: written by position, the descriptor stays there.
      const prompt = take('prompt', 0);
      writeAll(prompt, Buffer.from(stdin ?? ''), 0);
      // Readable too, so that one descriptor serves the agent and us.
      const stdout = take('stdout.log', O_APPEND);
      const stderr = take('stderr.log', O_APPEND);
      const record = take(RECORD, 0);
      const places = prepareRecord(record, header);
      let given = prompt;
      if (staysOpen) {
        const fifo = AgentInput.make(folder, stdin ?? '');
        input = fifo.input;
        given = fifo.forAgent;
        open.add(given);
      }
      launch({ stdin: given, stdout, stderr, record });
      if (staysOpen) release(given);
      release(prompt);
      return new AttemptFiles(open, [record, stdout, stderr], places, input);
    } catch (error) {
      input?.[Symbol.dispose]();
      for (const file of open) closeSync(file);
      if (staysOpen) AgentInput.remove(folder);
      throw error;
    }
  }

  /**
   * Opens the files of an attempt that an earlier daemon of this project launched, whichever it is where `attemptId` is
   * empty. Undefined where the folder holds none, or those of another attempt. Throws the system's error.
   */
  static reopen(
    folder: string,
    { attemptId, project }: { attemptId: string; project: string },
  ): { files: AttemptFiles; header: AttemptHeader } | undefined {
    const open = new Set<number>();
    const take = (name: string, flags: number): number => {
      // Whatever the agent has put there: a link is not followed, a FIFO holds nobody.
      const file = openSync(join(folder, name), flags | O_NOFOLLOW | O_NONBLOCK, 0o600);
      open.add(file);
      if (!fstatSync(file).isFile()) throw new Error(`${join(folder, name)} is not a file`);
      return file;
    };
    try {
      const record = take(RECORD, O_RDWR);
      const head = headOf(record);
      const header = parseHeader(head);
      if (header === undefined || !isOurs(header, { attemptId, project }, fstatSync(record).ino)) {
        closeSync(record);
        return undefined;
      }
      const places = placesAfter(Buffer.byteLength(head.slice(0, head.indexOf('\n') + 1)), header);
      // Empty ones in the place of files that are gone: the agent still lives, and how it ends still counts.
      const streams = [
        take('stdout.log', O_RDONLY | O_CREAT),
        take('stderr.log', O_RDONLY | O_CREAT),
      ] as const;
      const input = header.staysOpen ? AgentInput.reopen(folder) : undefined;
      const files = new AttemptFiles(open, [record, ...streams], places, input);
      return { files, header };
    } catch (error) {
      for (const file of open) closeSync(file);
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Notes why the attempt is about to be ended, for a daemon that takes over in the middle of it. */
  noteEnding(word: string): void {
    writeAll(this.#record, Buffer.from(word.padEnd(ENDING_BYTES - 1)), this.#places.ending);
  }

  /** What was noted so; empty where nothing was. */
  ending(): string {
    return this.#textAt(this.#places.ending, ENDING_BYTES);
  }

  /** Notes for how long the attempt has waited for people, and whether it does; only where its stdin stays open. */
  noteWaited({ ms, waiting }: Waited): void {
    const text = `${Math.round(ms)}${waiting ? ' waiting' : ''}`;
    writeAll(this.#record, Buffer.from(text.padEnd(WAITED_BYTES - 1)), this.#places.waited);
  }

  /** What was noted so. */
  waited(): Waited {
    const { waited, notes } = this.#places;
    const [, ms = '0', waiting] = /^(\d{1,15})( waiting)?$/u.exec(this.#textAt(waited, notes - waited)) ?? [];
    return { ms: Number(ms), waiting: waiting !== undefined };
  }

  #textAt(position: number, length: number): string {
    return scratch.toString('utf8', 0, readSync(this.#record, scratch, 0, length, position)).trim();
  }

  /** What the runner has written so far. */
  notes(): RunnerNotes {
    const count = readSync(this.#record, scratch, 0, NOTES_BYTES, this.#places.notes);
    return parseNotes(scratch.toString('utf8', 0, count));
  }

  /** When the runner, or a daemon, wrote to the record last, in milliseconds since 1970. */
  notedAt(): number {
    return fstatSync(this.#record).mtimeMs;
  }

  /** When the agent wrote to its stdout last, in milliseconds since 1970. */
  saidAt(): number {
    return fstatSync(this.#stdout).mtimeMs;
  }

  sizes(): StreamSizes {
    return { stdout: fstatSync(this.#stdout).size, stderr: fstatSync(this.#stderr).size };
  }

  /** Reads from stdout at a position, without blocking the event loop. Answers 0 at the end. */
  read(buffer: Buffer, length: number, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      read(this.#stdout, buffer, 0, length, position, (error, count) => {
        if (error === null) resolve(count);
        else reject(error);
      });
    });
  }

  /** The same, at once: for a few bytes. */
  readNow(buffer: Buffer, length: number, position: number): number {
    return readSync(this.#stdout, buffer, 0, length, position);
  }

  /** The end of a stream as text, cut at a whole character. */
  tail(stream: 'stdout' | 'stderr', limit: number): string {
    const file = stream === 'stdout' ? this.#stdout : this.#stderr;
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
    if (this.#closed) return;
    this.#closed = true;
    this.input?.[Symbol.dispose]();
    for (const file of this.#open) closeSync(file);
  }
}

/** Where things stand in a record: after the header why the attempt is being ended, then what the runner writes. */
interface RecordPlaces {
  ending: number;
  /** For how long the attempt has waited for people; there is room for it only where its stdin stays open. */
  waited: number;
  notes: number;
}

function placesAfter(ending: number, header: AttemptHeader): RecordPlaces {
  const waited = ending + ENDING_BYTES;
  return { ending, waited, notes: header.staysOpen ? waited + WAITED_BYTES : waited };
}

/**
 * The header, room for words of ours, and blanks for the runner to write over: its descriptor, which it inherits,
 * stands at their beginning.
 */
function prepareRecord(file: number, header: AttemptHeader): RecordPlaces {
  const written: WrittenHeader = { ...header, inode: fstatSync(file).ino };
  const line = Buffer.from(`${JSON.stringify(written)}\n`);
  const places = placesAfter(line.length, header);
  const rooms = [ENDING_BYTES, ...(header.staysOpen ? [WAITED_BYTES] : [])];
  const head = Buffer.concat([line, Buffer.from(rooms.map((bytes) => '\n'.padStart(bytes)).join(''))]);
  writeAll(file, BLANKS, head.length);
  for (let at = 0; at < head.length; ) at += writeSync(file, head, at);
  return places;
}

/** A copy of a project holds copies of its records, but the agents are not its own. A project that was moved keeps them. */
function isOurs(
  header: WrittenHeader,
  { attemptId, project }: { attemptId: string; project: string },
  inode: number,
): boolean {
  if (attemptId !== '' && header.attemptId !== attemptId) return false;
  return header.project === project || header.inode === inode;
}

/** Far more than a header takes. */
const MAX_HEADER_BYTES = 1024 * 1024;

function headOf(record: number): string {
  const bytes = Buffer.allocUnsafe(Math.min(fstatSync(record).size, MAX_HEADER_BYTES));
  return bytes.toString('utf8', 0, readSync(record, bytes, 0, bytes.length, 0));
}

function writeAll(file: number, bytes: Buffer, position: number): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at, bytes.length - at, position + at);
}

function makeFolder(folder: string): void {
  // The folder of the task first: it is new for all but retried tasks.
  const ofTask = dirname(folder);
  const before = make(ofTask);
  if (before === 'missing') makeFolders(ofTask, OWN_FOLDERS - 1, 0o700);
  // An agent may have put a file or a link there: such a task would hold up the queue for ever.
  if (before === 'there' && !lstatSync(ofTask).isDirectory()) {
    rmSync(ofTask);
    mkdirSync(ofTask, { mode: 0o700 });
  }
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
