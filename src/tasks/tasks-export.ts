import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import type { Clock, Timer } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import { writeFaultText } from '../platform/write-fault.js';
import { FINAL_STATES, type TaskState } from '../protocol/task.js';
import { seqOf } from './task-id.js';
import type { StoredTask, TaskStore } from './task-store.js';

/** Ended tasks in the export. */
const ENDED_TASKS = 200;
/** Few enough that turning a page into JSON does not hold up the event loop. */
const PAGE_TASKS = 50;
const SHORTEST_PAUSE_MS = 1_000;
/** The pause is so many times what the last export took: 5 % of the time at most. */
const PAUSE_FACTOR = 20;
const RETRY_MS = 5_000;
/** What stands before the tasks fits in. */
const HEAD_BYTES = 256;

export interface TasksExportOptions {
  store: TaskStore;
  path: string;
  clock: Clock;
  log: Log;
  /** A queued task as clients see it; as it is stored where absent. */
  view?: (task: StoredTask) => StoredTask;
  /** Told of each export that failed (a full disk, say; the file is then the one before), and undefined when it is over. */
  onFault: (error: unknown) => void;
}

/**
 * Keeps `tasks.json`, the readable copy of the queue for scripts: every active task and the newest 200 ended ones. It
 * is written some time after `changed()`, page by page, and replaced as a whole. The truth is in the store.
 */
export class TasksExport {
  readonly #options: TasksExportOptions;
  #dirty = false;
  #timer: Timer | undefined;
  #writing: Promise<void> | undefined;
  /** On the monotonic clock. */
  #notBefore = 0;
  #faulty = false;
  #closed = false;

  constructor(options: TasksExportOptions) {
    this.#options = options;
  }

  /** Says that a task changed; cheap, however often it is called. */
  changed(): void {
    if (this.#dirty && this.#timer !== undefined) return;
    this.#dirty = true;
    this.#arm(this.#notBefore - this.#options.clock.monotonic());
  }

  /** Writes now what has not been written yet. A failure goes to `onFault`. */
  async flush(): Promise<void> {
    await this.#writing;
    if (this.#dirty) await this.#export();
  }

  /** The last export, and none after it. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.flush();
  }

  #arm(ms: number): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#closed || this.#writing !== undefined) return;
    this.#timer = this.#options.clock.setTimer(Math.max(0, ms), () => {
      this.#timer = undefined;
      void this.#export();
    });
  }

  #export(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#writing ??= this.#writeOnce();
    return this.#writing;
  }

  async #writeOnce(): Promise<void> {
    const pause = await this.#write();
    this.#writing = undefined;
    if (this.#dirty) this.#arm(pause);
  }

  /** Answers how long to wait before the next export, should one be due. Never throws. */
  async #write(): Promise<number> {
    const { clock, log, onFault, path } = this.#options;
    const start = clock.monotonic();
    this.#dirty = false;
    let pause: number | undefined;
    try {
      await this.#replaceFile();
      this.#faulty = false;
      onFault(undefined);
    } catch (error) {
      this.#dirty = true;
      pause = Math.max(RETRY_MS, PAUSE_FACTOR * (clock.monotonic() - start));
      const fault = writeFaultText(path, error);
      if (!this.#faulty)
        log.warn({ reason: fault }, 'tasks.json could not be written; the one before stays.');
      this.#faulty = true;
      onFault(new Error(fault, { cause: error }));
    }
    const end = clock.monotonic();
    const shortest = Math.max(SHORTEST_PAUSE_MS, PAUSE_FACTOR * (end - start));
    this.#notBefore = end + shortest;
    return pause ?? shortest;
  }

  async #replaceFile(): Promise<void> {
    const temporary = `${this.#options.path}.tmp`;
    try {
      const file = await open(temporary, 'w', 0o600);
      try {
        await this.#writeTasks(file);
      } finally {
        await file.close();
      }
      await rename(temporary, this.#options.path);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {
        // Whatever keeps it from being removed has most likely kept it from being written: that error says more.
      });
      throw error;
    }
  }

  async #writeTasks(file: FileHandle): Promise<void> {
    const { store, clock, view = (task) => task } = this.#options;
    const updatedAt = new Date(clock.now()).toISOString();
    const [newest] = (await store.list({ limit: 1 })).tasks;
    const head = { version: 1, updatedAt, newest: newest?.id ?? null };
    await file.writeFile(`${JSON.stringify(head).slice(0, -1)},\n"tasks": [`);
    let separator = '\n';
    const write = async (tasks: readonly StoredTask[]): Promise<void> => {
      const lines = tasks.map((task) => {
        const line = separator + JSON.stringify({ ...task, progress: null, output: null });
        separator = ',\n';
        return line;
      });
      if (lines.length > 0) await file.writeFile(lines.join(''));
    };
    // Newest first. A task that starts while we write must not be there twice.
    const queued: number[] = [];
    for await (const page of pagesOf(store, 'queued')) {
      for (const { id } of page) queued.push(seqOf(id) ?? -1);
      await write(page.map(view));
    }
    for await (const page of pagesOf(store, 'running'))
      await write(page.filter(({ id }) => !includes(queued, id)));
    for await (const task of newestEnded(store)) if (!includes(queued, task.id)) await write([task]);
    await file.writeFile('\n]\n}\n');
  }
}

/** The number of the newest task in an export of ours, found without reading all of it; null where it names none. */
export async function newestExported(path: string): Promise<number | null> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    const [, id = ''] = /^\{[^[\]]*"newest":"([^"]+)"/.exec(buffer.toString('utf8', 0, bytesRead)) ?? [];
    return seqOf(id) ?? null;
  } finally {
    await file.close();
  }
}

async function* pagesOf(store: TaskStore, state: TaskState): AsyncGenerator<StoredTask[]> {
  let cursor: string | null = null;
  do {
    const query = { state, limit: PAGE_TASKS };
    const page = await store.list(cursor === null ? query : { ...query, cursor });
    yield page.tasks;
    cursor = page.nextCursor;
  } while (cursor !== null);
}

/** The newest ended tasks of all four final states, merged; holds one page of each. */
async function* newestEnded(store: TaskStore): AsyncGenerator<StoredTask> {
  const sources = FINAL_STATES.map((state) => ({ pages: pagesOf(store, state), page: [] as StoredTask[] }));
  const refill = async (source: (typeof sources)[number]): Promise<void> => {
    if (source.page.length > 0) return;
    const next = await source.pages.next();
    if (next.done !== true) source.page = next.value.toReversed();
  };
  for (let count = 0; count < ENDED_TASKS; count += 1) {
    for (const source of sources) await refill(source);
    const [newest] = sources.toSorted((a, b) => lastSeq(b.page) - lastSeq(a.page));
    const task = newest?.page.pop();
    if (task === undefined) return;
    yield task;
  }
}

function lastSeq(page: readonly StoredTask[]): number {
  return seqOf(page.at(-1)?.id ?? '') ?? -1;
}

/** Whether a descending list has the number of `id`. */
function includes(descending: readonly number[], id: string): boolean {
  const seq = seqOf(id) ?? -1;
  let low = 0;
  let high = descending.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((descending[middle] ?? -1) > seq) low = middle + 1;
    else high = middle;
  }
  return descending[low] === seq;
}
