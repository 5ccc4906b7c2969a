import type { Client } from '../../ipc/client.js';
import { connect } from '../../ipc/client.js';
import { findRunningDaemon } from '../../ipc/running-daemon.js';
import { type Clock, sleep } from '../../platform/clock.js';
import { isAlive } from '../../platform/process-identity.js';
import { AiwgdError } from '../../protocol/errors.js';
import type { Task } from '../../protocol/task.js';
import { startDaemon } from '../lifecycle/start-daemon.js';
import { visibleText } from '../output/text.js';
import { withDeadline } from '../with-deadline.js';
import type { DemoProject } from './demo-project.js';
import { LinePrefix } from './line-prefix.js';

/** Submitted in this order; the first finds a free slot, then the higher priority goes first. */
const TASKS = [
  { prompt: 'Write down why this project exists', priority: 0 },
  { prompt: 'List what is left to do', priority: 1 },
  { prompt: 'Note the bug that hurts most', priority: 9 },
] as const;
/** The task whose agent is at work at the crash, and after how many of its lines. */
const CRASH_IN_TASK = 2;
const CRASH_AFTER_LINES = 2;
const LIMIT_MS = 60_000;
const GONE_POLL_MS = 10;

export interface DemoStage {
  project: DemoProject;
  clock: Clock;
  /** A line of the story. */
  say: (text: string) => void;
  /** A line that an agent wrote. */
  show: (line: string) => void;
}

/** Runs the three tasks with a crash in the middle, and resolves with them as they ended. */
export async function runCrashDemo(stage: DemoStage): Promise<Task[]> {
  const { project, clock, say } = stage;
  const first = await startDaemon(project.paths, clock);
  say(`Daemon started (PID: ${first.pid})`);
  const client = await connect({ project: project.paths.root, reconnect: true, clock });
  try {
    return await withDeadline(clock, LIMIT_MS, (signal) => runTasks(stage, client, signal));
  } finally {
    client.close();
  }
}

async function runTasks(stage: DemoStage, client: Client, signal: AbortSignal): Promise<Task[]> {
  const ids: string[] = [];
  for (const params of TASKS) {
    const { taskId } = await client.call('task.submit', { ...params, source: 'cli' });
    ids.push(taskId);
    stage.say(`Submitted ${taskId}, priority ${params.priority}: ${params.prompt}`);
  }
  stage.say('One runs at a time; of those that wait, the highest priority goes first.\n');
  const crash = new Crash(stage);
  const [ended] = await Promise.all([
    Promise.all(
      ids.map((id, index) => follow(stage, client, id, signal, index === CRASH_IN_TASK ? crash : undefined)),
    ),
    crash.done,
  ]);
  return ended;
}

/** Shows what a task writes until it has ended. */
async function follow(
  stage: DemoStage,
  client: Client,
  taskId: string,
  signal: AbortSignal,
  crash: Crash | undefined,
): Promise<Task> {
  const chunks = client.output(taskId, { signal });
  const prefix = new LinePrefix(`${taskId} | `);
  let lines = 0;
  let attempt = 1;
  for (;;) {
    const { done, value } = await chunks.next();
    if (done) {
      crash?.skip();
      return value;
    }
    if (value.attempt > attempt) {
      attempt = value.attempt;
      stage.say(`${taskId} was cut off by the crash, so this is its attempt ${attempt}:`);
    }
    for (const line of prefix.push(visibleText(value.data))) {
      stage.show(line);
      lines += 1;
      if (lines === CRASH_AFTER_LINES) crash?.happen(taskId);
    }
  }
}

/** The crash in the middle: happens at most once. */
class Crash {
  /** Resolves when the daemon is up again (or no crash will come); rejects where it does not come up. */
  readonly done: Promise<void>;
  readonly #stage: DemoStage;
  #settle: (outcome: Promise<void>) => void = () => {};

  constructor(stage: DemoStage) {
    this.#stage = stage;
    this.done = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  happen(taskId: string): void {
    this.#settle(crashAndRestart(this.#stage, taskId));
  }

  /** The task ended too early. */
  skip(): void {
    this.#settle(Promise.resolve());
  }
}

/** Kills the daemon as a crash would, while an agent works, and starts another, which takes the agent over. */
async function crashAndRestart({ project, clock, say }: DemoStage, taskId: string): Promise<void> {
  const daemon = findRunningDaemon(project.paths);
  if (daemon === undefined)
    throw new AiwgdError('INTERNAL_ERROR', 'The daemon of the demo has gone by itself.');
  process.kill(daemon.pid, 'SIGKILL');
  while (isAlive(daemon)) await sleep(clock, GONE_POLL_MS);
  say(`\nKilled the daemon with SIGKILL (PID: ${daemon.pid}). The agent of ${taskId} works on.`);
  const { pid: next } = await startDaemon(project.paths, clock);
  say(`Started it again (PID: ${next}). It takes over agent and queue.\n`);
}
