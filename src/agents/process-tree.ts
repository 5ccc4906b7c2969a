import { type Clock, sleep } from '../platform/clock.js';
import { type ProcessIdentity, startTimeOf } from '../platform/process-identity.js';
import { listProcesses, type ProcessEntry, processGroupOf, readMarks } from '../platform/process-table.js';

export interface EndTreeRequest {
  attemptId: string;
  /** The agent itself; undefined where only what it left is to go. */
  leader: ProcessIdentity | undefined;
  /** The agent's parent and leader of its group, which records how the agent ended: it goes last. */
  runner?: ProcessIdentity | undefined;
  /** From SIGTERM to SIGKILL. */
  graceMs: number;
  clock: Clock;
  /** Aborted when there is no more time for grace. */
  hurry?: AbortSignal;
}

/** How long what ignores even SIGKILL is waited for: the kernel holds it, in a read from a dead disk, say. */
const KILL_PATIENCE_MS = 5_000;
const RUNNER_PATIENCE_MS = 1_000;
const FIRST_POLL_MS = 10;
const LONGEST_POLL_MS = 100;

/**
 * Ends every process of an attempt, in whatever session or process group it is: SIGTERM to the agent and its group,
 * after the agent's end also to what it left, SIGKILL to all when the grace is over, again until none is left.
 * A process is signalled only when it carries the attempt's mark at that moment, or descends from one that does.
 * Answers the pids that are still there after all; empty but for processes that the kernel itself holds.
 */
export async function endTree(request: EndTreeRequest): Promise<number[]> {
  const { clock, leader, runner } = request;
  const tree = new AttemptTree(request.attemptId, [leader, runner], clock);
  // Where no mark can be read, this look before the first signal is what later ones go by.
  await tree.living();
  if (leader !== undefined) signalLeader(leader, runner);
  const deadline = clock.monotonic() + request.graceMs;
  let restTold = false;
  for (let poll = FIRST_POLL_MS; ; poll = Math.min(poll * 2, LONGEST_POLL_MS)) {
    const left = withoutRunner(await tree.living(), runner);
    if (left.length === 0) return endRunner(tree, clock);
    if (!restTold && !left.some((entry) => entry.pid === leader?.pid)) {
      restTold = true;
      for (const entry of left) signal(entry, 'SIGTERM');
    }
    const remaining = deadline - clock.monotonic();
    if (remaining <= 0 || request.hurry?.aborted) break;
    await sleep(clock, Math.min(poll, remaining), request.hurry);
  }
  await killAll(tree, clock, runner);
  return endRunner(tree, clock);
}

async function killAll(tree: AttemptTree, clock: Clock, runner?: ProcessIdentity): Promise<number[]> {
  const deadline = clock.monotonic() + KILL_PATIENCE_MS;
  for (let poll = 1; ; poll = Math.min(poll * 2, LONGEST_POLL_MS)) {
    const left = withoutRunner(await tree.living(), runner);
    if (left.length === 0) return [];
    if (clock.monotonic() >= deadline) return left.map((entry) => entry.pid);
    for (const entry of left) signal(entry, 'SIGKILL');
    await sleep(clock, poll);
  }
}

/** With its agent gone it writes down the end and ends: in a moment, unless somebody stopped it. */
async function endRunner(tree: AttemptTree, clock: Clock): Promise<number[]> {
  const deadline = clock.monotonic() + RUNNER_PATIENCE_MS;
  for (let poll = 1; ; poll = Math.min(poll * 2, LONGEST_POLL_MS)) {
    if ((await tree.living()).length === 0) return [];
    if (clock.monotonic() >= deadline) return killAll(tree, clock);
    await sleep(clock, poll);
  }
}

function withoutRunner(entries: ProcessEntry[], runner: ProcessIdentity | undefined): ProcessEntry[] {
  return runner === undefined
    ? entries
    : entries.filter(({ pid, startTime }) => pid !== runner.pid || startTime !== runner.startTime);
}

/** Looks until it has seen: while the system cannot say (no descriptor is left, say), nobody is taken for gone. */
async function untilSeen<T>(clock: Clock, look: () => T): Promise<T> {
  for (;;) {
    try {
      return look();
    } catch {
      // The store and the launches meet the same fault, and health tells it.
      await sleep(clock, LONGEST_POLL_MS);
    }
  }
}

/** The processes of one attempt; remembers those it saw, for they may lose their parents. */
class AttemptTree {
  readonly #attemptId: string;
  readonly #clock: Clock;
  /** Start time by pid. */
  readonly #seen = new Map<number, string>();

  constructor(attemptId: string, known: readonly (ProcessIdentity | undefined)[], clock: Clock) {
    this.#attemptId = attemptId;
    this.#clock = clock;
    for (const one of known) if (one !== undefined) this.#seen.set(one.pid, one.startTime);
  }

  living(): Promise<ProcessEntry[]> {
    return untilSeen(this.#clock, () => this.#look());
  }

  #look(): ProcessEntry[] {
    const all = listProcesses();
    const owned = new Set<number>();
    for (const entry of all) {
      if (this.#seen.get(entry.pid) === entry.startTime || this.#isMarked(entry.pid)) owned.add(entry.pid);
    }
    for (let before = -1; before !== owned.size; ) {
      before = owned.size;
      for (const entry of all) if (owned.has(entry.ppid)) owned.add(entry.pid);
    }
    owned.delete(process.pid);
    const living = all.filter((entry) => owned.has(entry.pid));
    this.#seen.clear();
    for (const entry of living) this.#seen.set(entry.pid, entry.startTime);
    return living;
  }

  #isMarked(pid: number): boolean {
    if (process.platform !== 'linux') return false;
    const marks = readMarks(pid);
    return typeof marks === 'object' && marks.attemptId === this.#attemptId;
  }
}

/** SIGTERM to the agent, and to its group where that is the one it was launched in. */
function signalLeader(leader: ProcessIdentity, runner: ProcessIdentity | undefined): void {
  if (!isStill(leader)) return;
  const group = groupOf(leader.pid);
  const launchedIn = group !== undefined && (group === leader.pid || group === runner?.pid);
  send(launchedIn ? -group : leader.pid, 'SIGTERM');
}

/** Signals exactly this process: its identity is checked at the last moment. */
function signal(entry: ProcessEntry, name: NodeJS.Signals): void {
  if (isStill(entry)) send(entry.pid, name);
}

function isStill({ pid, startTime }: Pick<ProcessEntry, 'pid' | 'startTime'>): boolean {
  try {
    return startTimeOf(pid) === startTime;
  } catch {
    // Not to be seen now: nobody is signalled on a guess, and the next look comes soon.
    return false;
  }
}

function groupOf(pid: number): number | undefined {
  try {
    return processGroupOf(pid);
  } catch {
    // As above: the agent alone is told then.
    return undefined;
  }
}

function send(target: number, name: NodeJS.Signals): void {
  try {
    process.kill(target, name);
  } catch {
    // It ended meanwhile, or is another user's: the next look at the machine tells.
  }
}

/**
 * Ends what earlier attempts of a project left running, found by their marks: after a crash nobody else knows them.
 * Answers the pids that are still there. Elsewhere than on Linux marks cannot be read, and nothing is done.
 */
export async function reapStrays(request: {
  projectRoot: string;
  isOurs: (attemptId: string) => boolean;
  graceMs: number;
  clock: Clock;
}): Promise<number[]> {
  if (process.platform !== 'linux') return [];
  const { clock, graceMs } = request;
  const attempts = await untilSeen(clock, () => straysOf(request));
  const left = await Promise.all(
    attempts.map((attemptId) => endTree({ attemptId, leader: undefined, graceMs, clock })),
  );
  return left.flat();
}

function straysOf({
  projectRoot,
  isOurs,
}: {
  projectRoot: string;
  isOurs: (attemptId: string) => boolean;
}): string[] {
  const processes = listProcesses();
  const attempts = new Set<string>();
  const starters = new Set<string>();
  for (const { pid } of processes) {
    const marks = readMarks(pid);
    if (typeof marks !== 'object' || marks.project !== projectRoot) continue;
    if (isAncestor(pid, processes)) starters.add(marks.attemptId);
    else if (isOurs(marks.attemptId)) attempts.add(marks.attemptId);
  }
  // An agent may have started this very daemon; its command waits for us.
  return [...attempts].filter((attemptId) => !starters.has(attemptId));
}

/** Whether this process descends from `pid`. */
function isAncestor(pid: number, processes: readonly ProcessEntry[]): boolean {
  const parents = new Map(processes.map((entry) => [entry.pid, entry.ppid]));
  for (let one = parents.get(process.pid); one !== undefined && one > 1; one = parents.get(one)) {
    if (one === pid) return true;
  }
  return false;
}
