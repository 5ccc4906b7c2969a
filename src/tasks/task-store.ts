import type { SpendKey, SpendRow } from '../protocol/spend.js';
import type {
  FinalState,
  Task,
  TaskCounts,
  TaskSource,
  TaskState,
  TokenCounts,
  Usage,
  WaitReason,
} from '../protocol/task.js';

/** What goes along with a task to its agent. No list shows it, and no copy of the queue holds it. */
export interface TaskLaunch {
  /** Written to a file of the attempt, which AIWG_EVENT_FILE names. */
  event?: Record<string, unknown>;
  /**
   * Variables for the agent. `${NAME}` in a value stands for the daemon's own variable NAME and is replaced at the
   * launch: secrets never reach the store.
   */
  env?: Record<string, string>;
  /** Variables whose values are taken as they are: they may hold text of an event, which must not name variables of ours. */
  literals?: Record<string, string>;
  /** Run in place of an agent: program and arguments. The event as JSON is its stdin. */
  command?: string[];
  /** True for a task that somebody outside set off. What follows it in its conversation counts as such too. */
  outside?: boolean;
  /** Program and arguments that judge the work after the agent says it is done, and how often it may mend it. */
  verify?: { command: string[]; rounds: number };
}

/** What an agent's program has counted for one of its sessions, from the session's beginning. */
export interface SessionTotals {
  costUsd: number | null;
  tokens: TokenCounts | null;
}

/** What one attempt cost. Stored along with its end, once for each attempt id. */
export interface Charge {
  attemptId: string;
  /** The agent's name in the configuration. */
  agent: string;
  /** Null where nobody can tell. */
  costUsd: number | null;
  tokens: TokenCounts | null;
  /** What a budget counts for it: the cost, or where that is not known what was reserved. */
  countedUsd: number;
  sessionId: string | null;
  /** As the program counted at the end of the attempt; the next attempt in this session subtracts it. */
  sessionTotals: SessionTotals | null;
}

/** What came before in the conversation of a task. */
export interface ConversationPast {
  /** Id of its first task: what it has of its own (a worktree) is named after that. */
  root: string;
  /** The session to go on in; null where it has none (any more). */
  sessionId: string | null;
  /** Its newest completed tasks, the oldest of them first: at most 10, and 256 KiB of text. */
  history: { prompt: string; result: string }[];
}

export interface SpendQuery {
  /** Ends of attempts from this time on, in milliseconds since 1970. */
  since: number;
  /** Before this time. */
  until?: number;
  by: SpendKey;
  /** Rows at most, the most expensive first; for days the newest first. */
  limit: number;
}

/** A task as it is handed in. Times are milliseconds since 1970. */
export interface NewTask {
  prompt: string;
  agent: string | null;
  priority: number;
  timeoutMs: number | null;
  /** While a task with this key is queued or running, submitting it again returns that task. */
  key: string | null;
  /**
   * A name under which a task is submitted once for ever: submitting it again answers that task, also when it has
   * ended, as long as it is kept. Looked at before `key`.
   */
  once: string | null;
  /** Not before this time; null for at once. */
  runAt: number | null;
  waitReason: WaitReason | null;
  maxAttempts: number;
  /** How many more attempts may follow one that failed by its own verdict. */
  retries: number;
  cwd: string | null;
  metadata: Record<string, unknown>;
  source: TaskSource;
  ruleId: string | null;
  causedBy: string | null;
  launch: TaskLaunch | null;
  /** Name of the conversation it is to go on; null for none. */
  conversation: string | null;
  /**
   * Id of a task whose conversation it is to go on, begun by this where that task has none yet (as `task:<its id>`). It
   * takes that task's agent where it names none. An unknown id refuses the submission (NOT_FOUND). Not together with
   * `conversation`.
   */
  resumes: string | null;
}

export interface Submitted {
  id: string;
  state: TaskState;
  /** True when a task with the same `once` or `key` was already there; nothing was stored. */
  deduped: boolean;
}

/** What a store holds of a task: everything but the end of the output, which lies in files. */
export type StoredTask = Omit<Task, 'output' | 'progress'>;

/** A task under lease. Whoever holds the newest token of a task owns it; every older token is void ("fenced"). */
export interface Claim {
  task: StoredTask;
  token: string;
  /**
   * A UUID made at the claim: the marker by which the attempt's processes are found. Empty for a running task that was
   * imported: only the files of its attempt know it.
   */
  attemptId: string;
  /** As it was submitted; null for a task that was imported. */
  launch: TaskLaunch | null;
  retriesLeft: number;
  /** Take-overs in a row, without a `steady` sign of life or a counted end of an attempt in between. */
  takeovers: number;
  /** Null for a task without a conversation. */
  past: ConversationPast | null;
  /** What its session had counted when its last attempt ended: of `task.sessionId`, else of `past.sessionId`. */
  baseline: SessionTotals | null;
  /** Why the work of the last attempt was not accepted; null where no attempt was judged yet. */
  feedback: string | null;
  /** Known cost of the task's earlier attempts, since it was submitted. */
  spentUsd: number;
}

/** A sign of life from a running attempt; fields that are absent stay as they were. */
export interface Progress {
  token: string;
  pid?: number | null;
  sessionId?: string | null;
  outputBytes?: number;
  /** True when the holder has proven that it lives on with this attempt: the count of `takeovers` begins anew. */
  steady?: boolean;
}

export interface Heartbeat {
  token: string;
  /** False when the lease was lost: the holder ends its attempt and reports nothing. */
  held: boolean;
  cancelRequested: boolean;
}

/** How a task ended. */
export interface Outcome {
  state: FinalState;
  result: string | null;
  error: string | null;
  exitCode: number | null;
  signal: string | null;
  sessionId: string | null;
  costUsd: number | null;
  usage: Usage | null;
  outputBytes: number;
  /** Null where no agent was at work. */
  charge: Charge | null;
}

/** Back to the queue after an attempt that did not end the task. */
export interface Release {
  runAt: number | null;
  waitReason: WaitReason | null;
  /** Shown as the task's `error` while it waits. */
  error: string | null;
  sessionId: string | null;
  outputBytes: number;
  /** True when a failed attempt is retried: uses up one of the task's retries. */
  usesRetry: boolean;
  /** False when the attempt is not to count (a rate limit, a daemon that stopped before the agent did anything). */
  countsAsAttempt: boolean;
  /** Null where no agent was at work. */
  charge: Charge | null;
  /** For the next attempt; at most 16 KiB. Null leaves what an earlier one was told. */
  feedback: string | null;
  /** The agent does not know this session any more: the conversation forgets it too. */
  goneSession: string | null;
}

/** That a task ended, without the task. */
export interface EndedTask {
  id: string;
  state: FinalState;
  /** When, in milliseconds since 1970. */
  at: number;
}

export interface ListQuery {
  state?: TaskState;
  agent?: string;
  /** Rows at most, 1 to 1000; a page of very large tasks has fewer, and a `nextCursor`. */
  limit: number;
  /** As returned by the page before. */
  cursor?: string;
}

export interface TaskPage {
  /** Newest first. */
  tasks: StoredTask[];
  nextCursor: string | null;
}

export interface ClaimRequest {
  /** Who claims; every claim of another owner can be taken over with `reap`. */
  owner: string;
  limit: number;
  leaseMs: number;
  /** Agents that take no more work now. `null` names the default agent. */
  exceptAgents?: readonly (string | null)[];
  /** An agent with slots of its own: up to so many of its tasks are leased besides, and none of them within `limit`. */
  apart?: { agent: string; limit: number };
}

/** Which waiting tasks are to look anew. */
export interface WakeRequest {
  waitReason: WaitReason;
  /** Only tasks of this rule. */
  ruleId?: string;
  /** So many at most. */
  limit?: number;
}

/**
 * The durable queue. It knows order, leases and states; when to retry, time out or give up is decided by its caller.
 * A promise that resolves means: on disk, and still there after a power cut. Operations handed in one after another
 * take effect in that order. A rejected operation changed nothing; its error is an `AiwgdError` (STORAGE_FULL, …). The
 * one exception is a store whose engine dies under it: that error says that the outcome is not known.
 * `runAt` alone decides when a queued task is ready; `waitReason` says why to people. A NUL in
 * the text of a new task is refused (INVALID_PARAMS); in any other text NUL becomes U+FFFD, and everywhere so does half
 * of a surrogate pair, which UTF-8 cannot hold. Metadata and usage are JSON, which keeps both.
 */
export interface TaskStore extends AsyncDisposable {
  /** Stores tasks, all or none. The answers stand in the order of the tasks. */
  submit(tasks: readonly NewTask[]): Promise<Submitted[]>;
  /**
   * Leases up to `limit` ready tasks, highest priority first, then oldest first; each begins its next attempt. Of one
   * conversation only the first task that has not ended is ever leased, so that no two run at a time.
   */
  claim(request: ClaimRequest): Promise<Claim[]>;
  /** Renews leases and records progress. Answers stand in the order of the updates. */
  heartbeat(updates: readonly Progress[], leaseMs: number): Promise<Heartbeat[]>;
  /** Ends a task. False (and nothing changed) when the token is fenced. */
  finish(token: string, outcome: Outcome): Promise<boolean>;
  /**
   * Puts a task back into the queue; one whose cancel was requested is cancelled instead, since its holder may never
   * have learnt of it. False (and nothing changed) when the token is fenced.
   */
  release(token: string, release: Release): Promise<boolean>;
  /**
   * Takes over running tasks whose lease ran out, or that any owner but `owner` holds where `othersAreDead` is set
   * (a daemon that holds the project's lock knows that its predecessors are). The attempt and its id stay the same,
   * the token is new and `takeovers` is one more: the caller decides what becomes of it.
   */
  reap(request: { owner: string; leaseMs: number; limit: number; othersAreDead: boolean }): Promise<Claim[]>;
  /** A queued task is cancelled at once; a running one is marked, which its holder learns. Answers the state now, undefined for an unknown id. */
  requestCancel(id: string): Promise<TaskState | undefined>;
  /**
   * Queues an ended task anew, with fresh attempts and retries: its attempts are counted from 1 again. False when it
   * has not ended; undefined for an unknown id. Throws CONFLICT where another active task has its key by now.
   */
  requeue(id: string): Promise<boolean | undefined>;
  get(id: string): Promise<StoredTask | undefined>;
  list(query: ListQuery): Promise<TaskPage>;
  counts(): Promise<TaskCounts>;
  /** Makes waiting tasks ready now, the best of them first; answers how many. */
  wake(request: WakeRequest): Promise<number>;
  /** When the next waiting task becomes ready, in milliseconds since 1970; null when none waits. */
  nextRunAt(): Promise<number | null>;
  /** Up to `limit` tasks that ended before `before`, the earliest first: their files go, and then they are forgotten. */
  endedBefore(before: number, limit: number): Promise<string[]>;
  /**
   * Up to `limit` ends of tasks, from `at` (ms since 1970) on, the earliest first; with `id` those that come after that
   * task's: the last one of a page leads to the next.
   */
  endedSince(from: { at: number; id?: string }, limit: number): Promise<EndedTask[]>;
  /** What attempts cost. Charges are kept for 400 days, also of tasks that are forgotten. */
  spend(query: SpendQuery): Promise<SpendRow[]>;
  /** Forgets those of the tasks that have ended, and returns how many; and some of the charges that are old enough, if any. */
  forget(ids: readonly string[]): Promise<number>;
  /**
   * Takes in tasks of another store with their ids and states; those whose id is taken are left out. A running one has
   * no holder here: the next `reap` finds it. Returns how many came in.
   */
  import(tasks: readonly StoredTask[]): Promise<number>;
}
