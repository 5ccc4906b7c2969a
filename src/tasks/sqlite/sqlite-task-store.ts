import type { Clock } from '../../platform/clock.js';
import { sleep } from '../../platform/clock.js';
import type { Log } from '../../platform/log.js';
import { AiwgdError, messageOf } from '../../protocol/errors.js';
import type { SpendRow } from '../../protocol/spend.js';
import type { TaskCounts, TaskState } from '../../protocol/task.js';
import { localDay, SpendSums, startOfLocalDay, storedCharge } from '../charges.js';
import { storedFeedback } from '../conversation-texts.js';
import { parseListQuery, requireWholeNumber } from '../list-query.js';
import { checkNewTask, storedText, toJson } from '../stored-text.js';
import { seqOf } from '../task-id.js';
import type {
  Claim,
  ClaimRequest,
  EndedTask,
  Heartbeat,
  ListQuery,
  NewTask,
  Outcome,
  Progress,
  Release,
  SpendQuery,
  StoredTask,
  Submitted,
  TaskPage,
  TaskStore,
  WakeRequest,
} from '../task-store.js';
import { DiskWatch } from './disk-watch.js';
import { GroupCommit } from './group-commit.js';
import type { Operation, OperationResult, ResultOfOperation } from './messages.js';
import { claimOf, importRowOf, taskOfRow } from './rows.js';
import { StoreThread } from './store-thread.js';

export interface SqliteTaskStoreOptions {
  /** The database file; its folder exists. */
  path: string;
  clock: Clock;
  log: Log;
  /** A thread that was prepared for this path. */
  thread?: StoreThread;
  /** Told when the files had been removed or replaced under the store, which then wrote them anew. */
  onRescued?: (message: string) => void;
  /** Told the reason when the disk takes nothing (it is full, say), and undefined when it does again. */
  onFault?: (message: string | undefined) => void;
}

const FIRST_RESTART_DELAY_MS = 100;
const LONGEST_RESTART_DELAY_MS = 10_000;

/**
 * Opens the durable store, in a thread of its own. A damaged database is moved aside and `damaged` names where it is
 * kept; `newest` is the number of the newest task that it has ever held, null where it never held one. Throws STORAGE_FAILED (also for a database of a newer program, which is left as it is) or STORAGE_FULL.
 */
export async function openSqliteTaskStore(
  options: SqliteTaskStoreOptions,
): Promise<{ store: TaskStore; damaged: string | null; newest: number | null }> {
  const thread = await StoreThread.start(options.path, options.clock.now(), options.thread);
  return { store: new SqliteTaskStore(options, thread), damaged: thread.damaged, newest: thread.newest };
}

class SqliteTaskStore implements TaskStore {
  readonly #options: SqliteTaskStoreOptions;
  readonly #commits = new GroupCommit((batch) => this.#send(batch));
  readonly #watch: DiskWatch;
  readonly #closing = new AbortController();
  /** The thread, or the attempt to start one; undefined when the last one ended unexpectedly. */
  #thread: Promise<StoreThread> | undefined;
  /** Threads lost since a batch last succeeded; sets the pause before the next start. */
  #failures = 0;
  #closed: Promise<void> | undefined;

  constructor(options: SqliteTaskStoreOptions, thread: StoreThread) {
    this.#options = options;
    this.#watch = new DiskWatch({
      clock: options.clock,
      probe: () => this.#run({ name: 'touch', args: [] }),
      onFault: (message) => options.onFault?.(message),
    });
    this.#thread = Promise.resolve(thread);
  }

  async submit(tasks: readonly NewTask[]): Promise<Submitted[]> {
    tasks.forEach(checkNewTask);
    const rows = tasks.map((task) => ({
      ...task,
      metadata: toJson(task.metadata, 'metadata'),
      launch: task.launch === null ? null : toJson(task.launch, 'launch'),
      outside: task.launch?.outside === true,
    }));
    const size = rows.reduce(
      (sum, { prompt, metadata, launch }) => sum + prompt.length + metadata.length + (launch?.length ?? 0),
      0,
    );
    return this.#run({ name: 'submit', args: [rows, this.#now()] }, size);
  }

  async claim(request: ClaimRequest): Promise<Claim[]> {
    requireWholeNumber('limit', request.limit, 0, 1000);
    requireWholeNumber('apart.limit', request.apart?.limit ?? 0, 0, 1000);
    const rows = await this.#run({ name: 'claim', args: [request, this.#now()] });
    return rows.map(claimOf);
  }

  heartbeat(updates: readonly Progress[], leaseMs: number): Promise<Heartbeat[]> {
    const cleaned = updates.map((update) =>
      update.sessionId === undefined ? update : { ...update, sessionId: storedText(update.sessionId) },
    );
    return this.#run({ name: 'heartbeat', args: [cleaned, leaseMs, this.#now()] });
  }

  async finish(token: string, outcome: Outcome): Promise<boolean> {
    const usage = outcome.usage === null ? null : toJson(outcome.usage, 'usage');
    const size = (outcome.result?.length ?? 0) + (outcome.error?.length ?? 0) + (usage?.length ?? 0);
    return this.#run(
      { name: 'finish', args: [token, { ...storedTexts(outcome), usage }, this.#now()] },
      size,
    );
  }

  release(token: string, release: Release): Promise<boolean> {
    return this.#run({ name: 'release', args: [token, storedTexts(release), this.#now()] });
  }

  async reap(request: Parameters<TaskStore['reap']>[0]): Promise<Claim[]> {
    requireWholeNumber('limit', request.limit, 0, 1000);
    const rows = await this.#run({ name: 'reap', args: [request, this.#now()] });
    return rows.map(claimOf);
  }

  async requestCancel(id: string): Promise<TaskState | undefined> {
    const seq = seqOf(id);
    return seq === undefined ? undefined : this.#run({ name: 'requestCancel', args: [seq, this.#now()] });
  }

  async requeue(id: string): Promise<boolean | undefined> {
    const seq = seqOf(id);
    return seq === undefined ? undefined : this.#run({ name: 'requeue', args: [seq] });
  }

  async get(id: string): Promise<StoredTask | undefined> {
    const seq = seqOf(id);
    const row = seq === undefined ? undefined : await this.#run({ name: 'get', args: [seq] });
    return row === undefined ? undefined : taskOfRow(row);
  }

  async list(query: ListQuery): Promise<TaskPage> {
    const { rows, more } = await this.#run({ name: 'list', args: [parseListQuery(query)] });
    const last = rows.at(-1);
    return { tasks: rows.map(taskOfRow), nextCursor: more && last !== undefined ? String(last.seq) : null };
  }

  counts(): Promise<TaskCounts> {
    return this.#run({ name: 'counts', args: [] });
  }

  wake(request: WakeRequest): Promise<number> {
    return this.#run({ name: 'wake', args: [request] });
  }

  nextRunAt(): Promise<number | null> {
    return this.#run({ name: 'nextRunAt', args: [] });
  }

  async endedBefore(before: number, limit: number): Promise<string[]> {
    requireWholeNumber('limit', limit, 0, 1000);
    return this.#run({ name: 'endedBefore', args: [before, limit] });
  }

  async endedSince({ at, id }: { at: number; id?: string }, limit: number): Promise<EndedTask[]> {
    requireWholeNumber('limit', limit, 0, 1000);
    const past = id === undefined ? undefined : seqOf(id);
    return this.#run({ name: 'endedSince', args: [at, past ?? -1, limit] });
  }

  /** Day by day, so that a long time does not hold up what else the store has to do; by task in one go, to keep the best only. */
  async spend({ since, until = Number.MAX_SAFE_INTEGER, by, limit }: SpendQuery): Promise<SpendRow[]> {
    requireWholeNumber('limit', limit, 1, 1000);
    if (by === 'task') return this.#run({ name: 'spendIn', args: [by, since, until, limit] });
    const sums = new SpendSums();
    let before = until;
    let newest = await this.#run({ name: 'newestCharge', args: [since, before] });
    const most = by === 'day' ? limit : Number.POSITIVE_INFINITY;
    while (newest !== null && sums.size < most) {
      const from = Math.max(since, startOfLocalDay(newest));
      const [rows, next]: [SpendRow[], number | null] = await Promise.all([
        this.#run({ name: 'spendIn', args: [by, from, before, -1] }),
        this.#run({ name: 'newestCharge', args: [since, from] }),
      ]);
      for (const row of rows) sums.add(by === 'day' ? { ...row, key: localDay(from) } : row);
      before = from;
      newest = next;
    }
    return sums.rows(by, limit);
  }

  async forget(ids: readonly string[]): Promise<number> {
    return this.#run({ name: 'forget', args: [ids.map((id) => seqOf(id) ?? -1), this.#now()] });
  }

  async import(tasks: readonly StoredTask[]): Promise<number> {
    const rows = tasks.map((task) => {
      const seq = seqOf(task.id);
      if (seq === undefined)
        throw new AiwgdError('INVALID_PARAMS', `"${task.id}" is no task id; they look like task-0001.`);
      return importRowOf(seq, task, (value) => toJson(value, `metadata or usage of ${task.id}`));
    });
    const size = rows.reduce((sum, row) => sum + row.prompt.length + row.metadata.length, 0);
    return this.#run({ name: 'import', args: [rows] }, size);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    // A pause before a restart is cut short; what waits for it is tried once more, and answered either way.
    this.#closing.abort();
    this.#watch.close();
    await this.#commits.drain();
    const thread = await this.#thread?.catch(() => undefined);
    await thread?.close();
  }

  #now(): number {
    return this.#options.clock.now();
  }

  async #run<O extends Operation>(operation: O, characters = 0): Promise<ResultOfOperation<O['name']>> {
    if (this.#closed !== undefined) throw new AiwgdError('STORAGE_FAILED', 'The task store is closed.');
    return (await this.#commits.run(operation, characters)) as ResultOfOperation<O['name']>;
  }

  async #send(batch: Operation[]): Promise<OperationResult[]> {
    this.#thread ??= this.#restart();
    try {
      const thread = await this.#thread;
      const results = await thread.run(batch);
      this.#failures = 0;
      if (results !== 'rescued') {
        this.#watch.note(results);
        return results;
      }
      this.#thread = this.#reopen();
    } catch (error) {
      this.#thread = undefined;
      this.#failures += 1;
      this.#options.log.error(
        { err: messageOf(error) },
        'The thread of the task store was lost; it is started anew.',
      );
      throw error;
    }
    return this.#send(batch);
  }

  #reopen(): Promise<StoreThread> {
    const { path, clock, log, onRescued } = this.#options;
    const message =
      `${path} was removed or replaced while the daemon runs. It was written anew from what the daemon held, nothing ` +
      'is lost; another file in its place was kept aside. To empty or exchange the queue, stop the daemon first.';
    log.error({ path }, message);
    onRescued?.(message);
    return StoreThread.start(path, clock.now());
  }

  async #restart(): Promise<StoreThread> {
    const { path, clock, log } = this.#options;
    const pause = Math.min(FIRST_RESTART_DELAY_MS * 2 ** (this.#failures - 1), LONGEST_RESTART_DELAY_MS);
    await sleep(clock, pause, this.#closing.signal);
    const thread = await StoreThread.start(path, clock.now());
    if (thread.damaged !== null) {
      log.error(
        { kept: thread.damaged },
        `The task store was damaged; a new one was made, the old one is kept as ${thread.damaged}.`,
      );
    }
    return thread;
  }
}

function storedTexts<T extends Outcome | Release>(report: T): T {
  return {
    ...report,
    error: storedText(report.error),
    sessionId: storedText(report.sessionId),
    charge: report.charge && storedCharge(report.charge),
    ...('result' in report
      ? { result: storedText(report.result) }
      : { feedback: storedFeedback(report.feedback), goneSession: storedText(report.goneSession) }),
  };
}
