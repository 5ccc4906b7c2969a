import type { Clock } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import { AiwgdError, messageOf } from '../protocol/errors.js';
import type { NewEvent } from '../protocol/event.js';
import type { DaemonStatus } from '../protocol/status.js';
import { isFinal, type TaskState } from '../protocol/task.js';
import type { Claim, StoredTask, Submitted, TaskStore } from '../tasks/task-store.js';
import type { AgentsConfig } from './agent-config.js';
import { ClaimLoop } from './claim-loop.js';
import { COMMAND_AGENT, isCommand } from './command-task.js';
import { Backoff, FaultReport, type OnFault } from './fault-report.js';
import type { LaunchFault } from './launcher.js';
import { LEASE_MS, LeaseKeeper } from './lease-keeper.js';
import { Admission } from './limits/admission.js';
import type { Hold } from './limits/routes.js';
import type { BudgetBounds } from './money/budget.js';
import type { QuestionPort, Workspaces } from './ports.js';
import { endStrays, takeOver } from './recovery.js';
import { untouched } from './retry-policy.js';
import { SettlementWriter } from './settlement-writer.js';
import { ShortCommands } from './short-command.js';
import { Shutdown } from './shutdown.js';
import { newTask, type Submission } from './submission.js';
import { SurvivorScan } from './survivor-scan.js';
import { type Publish, TaskEvents } from './task-events.js';
import { type LiveAttempt, TaskRun, type TaskRunDeps } from './task-run.js';

export interface SupervisorSettings {
  /** Attempts of agents at once; commands have slots of their own, but none where this is 0. */
  maxParallel: number;
  /** Time limit of tasks that name none. */
  actionTimeoutMs: number;
  /** From SIGTERM to SIGKILL, for a cancel, a timeout and what an attempt leaves running. */
  killGraceMs: number;
  budget: BudgetBounds;
}

export interface SupervisorOptions {
  store: TaskStore;
  agents: AgentsConfig;
  settings: SupervisorSettings;
  projectRoot: string;
  /** Where the files of an attempt go. */
  attemptFolder: (taskId: string, attempt: number) => string;
  /** File in which the pauses of providers outlive the daemon. */
  pausesFile: string;
  publish: Publish;
  /** What was published on topics that match a glob, by earlier daemons too, as far as it is known. */
  earlierEvents?: (topic: string) => readonly NewEvent[];
  clock: Clock;
  log: Log;
  /** Names this daemon in the store; another one at each start. */
  owner: string;
  /** What is wrong with the machine or the store. */
  onFault: OnFault;
  /** The daemon's environment, from which agents get what is allowed. */
  environment: Readonly<Record<string, string | undefined>>;
  /** Absent where no agent is isolated. */
  workspaces?: Workspaces;
  /** Absent where nobody can be asked. */
  questions?: QuestionPort;
  /** Between 0 and 1, for the jitter of retries. */
  random?: () => number;
}

const QUEUE_SHOWN = 100;

/**
 * Brings tasks from the queue to agents and their outcomes back: durable submission, a bounded number of attempts at
 * once, and an end to every process of an attempt, however it ends.
 */
export class AgentSupervisor {
  readonly #options: SupervisorOptions;
  readonly #events: TaskEvents;
  readonly #faults: FaultReport;
  readonly #writer: SettlementWriter;
  readonly #loop: ClaimLoop;
  readonly #leases: LeaseKeeper;
  readonly #runDeps: TaskRunDeps;
  readonly #launchBackoff = new Backoff();
  readonly #runs = new Map<string, TaskRun>();
  readonly #admission: Admission;
  readonly #shutdown: Shutdown;
  /** Claims that came too late, on their way back. */
  readonly #returning = new Set<Promise<void>>();
  #started = false;
  #settings: SupervisorSettings;
  /** Agents of an earlier store are being ended. */
  #recovering = false;
  #recovery: Promise<void> = Promise.resolve();
  #stopping: Promise<void> | undefined;

  constructor(options: SupervisorOptions) {
    const { store, clock, log, owner, settings, random = Math.random } = options;
    this.#options = options;
    this.#settings = settings;
    this.#events = new TaskEvents(options.publish, log);
    this.#faults = new FaultReport(log, options.onFault);
    this.#writer = new SettlementWriter(store, clock, this.#faults);
    const runs = () => this.#runs.values();
    this.#leases = new LeaseKeeper(store, clock, this.#faults, runs);
    this.#admission = new Admission({ ...options, random, runs, wake: () => this.#loop.wake() });
    this.#loop = new ClaimLoop({
      store,
      clock,
      faults: this.#faults,
      owner,
      leaseMs: LEASE_MS,
      demand: (commandsMayWait) =>
        this.#started && !this.#recovering ? this.#admission.demand(commandsMayWait, COMMAND_AGENT) : null,
      accept: (claim) => this.#accept(claim),
      changesInMs: () => this.#admission.changesInMs(),
    });
    this.#shutdown = new Shutdown({
      clock,
      log,
      loop: this.#loop,
      leases: this.#leases,
      writer: this.#writer,
      runs,
      pending: () => [this.#recovery, ...this.#returning],
    });
    this.#runDeps = {
      clock,
      log,
      scan: new SurvivorScan(clock),
      events: this.#events,
      writer: this.#writer,
      random,
      projectRoot: options.projectRoot,
      baseEnvironment: options.environment,
      attemptFolder: options.attemptFolder,
      workspaces: options.workspaces,
      questions: options.questions,
      commands: new ShortCommands(options),
      faults: this.#faults,
      onSettling: ({ task }) => this.#wakeFor(task),
      onLaunch: (fault) => this.#noteLaunch(fault),
      onAnswer: (attemptId) => this.#admission.progressed(attemptId),
      onEnded: (claim, permit, end) => this.#admission.ended(claim, permit, end),
    };
  }

  /**
   * Takes over what an earlier daemon left, then works on the queue. Other daemons of the project must be dead. With
   * `strays: 'all'`, for a store that was begun anew, every agent of the project that belongs to no task is ended first:
   * its task may be in the queue again. Answers how many running agents were taken over.
   */
  async start({ strays = 'known' }: { strays?: 'known' | 'all' } = {}): Promise<number> {
    const { store, owner, log } = this.#options;
    await this.#admission.start();
    const found = await takeOver(store, owner, log);
    for (const { claim, cancelRequested } of found) {
      const run = TaskRun.adopt(
        claim,
        this.#admission.catalogue,
        this.#settings,
        this.#runDeps,
        cancelRequested,
      );
      if (run.attemptId !== undefined) this.#events.takenOver(claim.task);
      else log.info({ taskId: claim.task.id }, 'Interrupted task found');
      this.#admission.adopt(run);
      this.#keep(run);
    }
    this.#started = true;
    const followed = new Set([...this.#runs.values()].flatMap((run) => run.attemptId ?? []));
    this.#options.questions?.keepOnly(followed);
    if (strays === 'all') this.#recovery = this.#endStrays(followed);
    this.#loop.wake();
    return followed.size;
  }

  /** Nothing is claimed before they are gone. */
  async #endStrays(followed: ReadonlySet<string>): Promise<void> {
    const { clock, log, projectRoot } = this.#options;
    this.#recovering = true;
    try {
      await endStrays(followed, { clock, log, projectRoot, killGraceMs: this.#settings.killGraceMs });
    } catch (error) {
      this.#faults.raise('tasks.recovery', `Agents of earlier tasks cannot be ended: ${messageOf(error)}`);
    } finally {
      this.#recovering = false;
      this.#loop.wake();
    }
  }

  /** Queues a task; when this resolves it is on disk. Throws INVALID_PARAMS, DAEMON_STOPPING or the store's error. */
  async submit(submission: Submission): Promise<{ taskId: string; state: TaskState; deduped: boolean }> {
    if (this.#stopping !== undefined)
      throw new AiwgdError(
        'DAEMON_STOPPING',
        'The daemon is stopping; submit the task again when it is back',
      );
    const { store, projectRoot, clock } = this.#options;
    const task = newTask(submission, {
      catalogue: this.#admission.catalogue,
      projectRoot,
      actionTimeoutMs: this.#settings.actionTimeoutMs,
      now: clock.now(),
    });
    const [submitted] = (await store.submit([task])) as [Submitted];
    if (!submitted.deduped) {
      const facts = { ...task, id: submitted.id, attempt: 0, outside: task.launch?.outside === true };
      this.#events.queued(facts, task.runAt === null ? this.holdOf({ ...facts, runAt: null }) : task);
      this.#wakeFor(task);
    }
    return { taskId: submitted.id, state: submitted.state, deduped: submitted.deduped };
  }

  /**
   * Cancels a task; a running one is cancelled when none of its processes is left. False when it had already ended, or
   * ended otherwise meanwhile. Throws NOT_FOUND.
   */
  async cancel(taskId: string): Promise<boolean> {
    const { store } = this.#options;
    const task = await store.get(taskId);
    if (task === undefined) throw noSuchTask(taskId);
    if (isFinal(task.state)) return false;
    const state = await store.requestCancel(taskId).catch((error: unknown) => {
      // It may be what fills the disk: it is ended, though nobody can note down that it was to be.
      this.#runs.get(taskId)?.cancel();
      throw error;
    });
    if (state === 'cancelled') {
      this.#events.ended(task, { state: 'cancelled' }, null);
      // What follows it in its conversation may begin now.
      if (task.conversation !== null) this.#loop.wake();
      return true;
    }
    return state === 'running' && this.#cancelRunning(task);
  }

  async #cancelRunning(task: StoredTask): Promise<boolean> {
    // Its claim, or its settlement after a crash, may be on its way.
    if (!this.#runs.has(task.id)) await Promise.all([this.#loop.settled(), this.#recovery]);
    const run = this.#runs.get(task.id);
    run?.cancel();
    await run?.done;
    const cancelled = (await this.#options.store.get(task.id))?.state === 'cancelled';
    // A task on its way back to the queue is cancelled by the store itself.
    if (cancelled && run?.settlement?.kind !== 'finish')
      this.#events.ended(task, { state: 'cancelled' }, null);
    return cancelled;
  }

  /** Queues an ended task anew. Throws NOT_FOUND, or CONFLICT where it has not ended. */
  async retry(taskId: string): Promise<{ taskId: string; state: TaskState }> {
    const { store } = this.#options;
    const requeued = await store.requeue(taskId);
    const task = await store.get(taskId);
    if (requeued === undefined || task === undefined) throw noSuchTask(taskId);
    if (!requeued) {
      throw new AiwgdError(
        'CONFLICT',
        `Task ${taskId} is ${task.state}; only a task that has ended can be retried`,
      );
    }
    this.#events.queued(task);
    this.#wakeFor(task);
    return { taskId, state: 'queued' };
  }

  /** Tells the end of a task that an earlier daemon stored, and may not have told. */
  tellEnd(task: StoredTask): void {
    this.#events.endedEarlier(task);
  }

  /** New settings hold from the next claim on; what runs is left as it is. */
  reconfigure(settings: SupervisorSettings, agents: AgentsConfig): void {
    this.#settings = settings;
    this.#admission.reconfigure(settings, agents);
    this.#loop.wake();
  }

  /** Why a queued task does not start although it is ready: its agent is kept back, by a limit or for want of money. */
  holdOf(
    task: Pick<StoredTask, 'agent' | 'runAt'> & { state?: TaskState; outside?: boolean },
  ): Hold | undefined {
    return this.#admission.holdOf({ state: 'queued', outside: false, ...task });
  }

  /** What the store does not know yet of a running task. */
  live(taskId: string): LiveAttempt | undefined {
    const run = this.#runs.get(taskId);
    return run?.phase === 'running' ? run.live : undefined;
  }

  async status(): Promise<DaemonStatus['subsystems']['supervisor']> {
    const { store } = this.#options;
    const [counts, page] = await Promise.all([
      store.counts(),
      store.list({ state: 'queued', limit: QUEUE_SHOWN }),
    ]);
    const running = [...this.#runs.values()].filter((run) => run.phase === 'running');
    return {
      running: running.length,
      queued: counts.queued,
      maxConcurrency: this.#settings.maxParallel,
      tasks: {
        running: running.map((run) => run.claim.task.id),
        queued: page.tasks.map((task) => task.id).toReversed(),
      },
      ...this.#admission.status(),
    };
  }

  /**
   * Takes no more work, tells the agents to finish, and after `graceMs` ends them; tasks that were cut off go back to
   * the queue. Resolves when nothing runs. A second call with `graceMs` 0 makes it immediate.
   */
  stop({ graceMs }: { graceMs: number }): Promise<void> {
    this.#stopping ??= this.#shutdown.stop(graceMs);
    if (graceMs === 0) for (const run of this.#runs.values()) run.hurry();
    return this.#stopping;
  }

  /**
   * Takes no more work and leaves the agents alone: they go on, and the next daemon takes them over. Resolves when
   * every outcome that was on its way is stored.
   */
  handOver(): Promise<void> {
    this.#stopping ??= this.#shutdown.handOver();
    return this.#stopping;
  }

  /** A task waits that may be claimable, or has left its slot. */
  #wakeFor(task: { agent: string | null }): void {
    if (isCommand(task)) this.#loop.wakeApart();
    else this.#loop.wake();
  }

  #accept(claim: Claim): void {
    const admitted =
      this.#stopping === undefined ? this.#admission.admit(claim) : ({ kind: 'back' } as const);
    if (admitted.kind === 'back') this.#giveBack(claim);
    else if (admitted.kind === 'settle')
      this.#keep(TaskRun.settle(claim, admitted.settlement, this.#settings, this.#runDeps));
    else this.#keep(TaskRun.launch(admitted.claim, admitted.permit, this.#settings, this.#runDeps));
  }

  #keep(run: TaskRun): void {
    this.#runs.set(run.claim.task.id, run);
    this.#leases.wake();
    void this.#forgetAfter(run);
  }

  async #forgetAfter(run: TaskRun): Promise<void> {
    await run.done;
    this.#admission.settled(run);
    const { id } = run.claim.task;
    // The same task may run again by now.
    if (this.#runs.get(id) === run) this.#runs.delete(id);
  }

  #giveBack(claim: Claim): void {
    const returning = this.#writer
      .write(claim.token, { kind: 'release', release: untouched(claim, claim.task.error) })
      .then(
        () => undefined,
        (error: unknown) => {
          this.#options.log.error(
            { taskId: claim.task.id, error: messageOf(error) },
            'A claim cannot be given back',
          );
        },
      )
      .finally(() => {
        this.#returning.delete(returning);
        if (isCommand(claim.task)) this.#loop.wakeApart();
      });
    this.#returning.add(returning);
  }

  #noteLaunch(fault: LaunchFault | null): void {
    if (fault === null) {
      this.#launchBackoff.reset();
      this.#faults.clear('agents.launch');
      return;
    }
    this.#faults.raise(
      'agents.launch',
      `Agents cannot be started: ${fault.message}; the tasks wait in the queue`,
    );
    this.#loop.pause(this.#launchBackoff.nextMs());
  }
}

function noSuchTask(taskId: string): AiwgdError {
  return new AiwgdError('NOT_FOUND', `There is no task ${taskId}; aiwgd task list shows them`);
}
