import { AiwgdError, messageOf } from '../protocol/errors.js';
import type { TaskProgress } from '../protocol/task.js';
import type { Claim } from '../tasks/task-store.js';
import type { AgentCatalogue } from './agent-catalogue.js';
import type { AttemptEnd } from './attempt.js';
import {
  type AttemptContext,
  type AttemptSettings,
  adoptAttempt,
  type BegunAttempt,
  isolatingAgent,
  type LaunchTerms,
  launchAttempt,
  type Prepared,
  prepareAttempt,
  withoutAttempt,
} from './begin-attempt.js';
import { chargeFor, withCharge, withTotal } from './charge.js';
import { agentOf } from './command-task.js';
import type { FaultReport } from './fault-report.js';
import { LaunchFault } from './launcher.js';
import { type Circumstances, type Permit, permitOf } from './limits/permit.js';
import { refusedEnd } from './refused-end.js';
import { writeResultFile } from './result-file.js';
import {
  asCancelled,
  cutOff,
  notAccepted,
  type Settlement,
  settle,
  untouched,
  withoutSession,
} from './retry-policy.js';
import type { SettlementWriter } from './settlement-writer.js';
import type { ShortCommands } from './short-command.js';
import { noteSurprises } from './surprises.js';
import type { Verification } from './verification.js';
import { endLeftCheck, progressAt, verificationOf, WorkCheck } from './work-check.js';

/** What the supervisor knows of a running attempt before the store does. */
export interface LiveAttempt {
  pid: number | null;
  outputBytes: number;
  sessionId: string | null;
  progress: TaskProgress | null;
}

export interface TaskRunDeps extends AttemptContext {
  writer: SettlementWriter;
  /** Runs what judges finished work. */
  commands: ShortCommands;
  faults: FaultReport;
  random: () => number;
  /** The processes are gone and the outcome is on its way to the store: the slot can be claimed for. */
  onSettling: (claim: Claim) => void;
  /** Null after a launch that went well. */
  onLaunch: (fault: LaunchFault | null) => void;
  /** Asked how it went, before it is decided what becomes of the task; see `Admission.ended`. */
  onEnded: (claim: Claim, permit: Permit | undefined, end: AttemptEnd) => Circumstances;
}

/** Until a task that could not be launched is tried again. */
const LAUNCH_AGAIN_MS = 5_000;

/** `unstored`: ended, but the store cannot take the outcome yet, so the slot stays taken. */
export type RunPhase = 'running' | 'storing' | 'unstored' | 'over';

/** What becomes of a claim: an attempt that ends; or, without one, a decision. Null where it was left to the next daemon. */
type Ending = AttemptEnd | Settlement | null;

interface Beginning {
  agentName: string | null;
  permit: Permit | undefined;
  begin: (run: TaskRun) => Promise<Ending>;
}

/** Carries one claim through: attempt, decision, outcome stored, outcome told. */
export class TaskRun {
  readonly claim: Claim;
  /** The name of the agent whose limits count; null where the task's agent is unknown. */
  readonly agentName: string | null;
  /** Undefined where there is no attempt to follow. */
  readonly permit: Permit | undefined;
  /** When this daemon took it, by `Clock.monotonic`. */
  readonly since: number;
  readonly #deps: TaskRunDeps;
  readonly #settings: AttemptSettings;
  #begun: BegunAttempt | undefined;
  #checking: WorkCheck | undefined;
  #phase: RunPhase = 'running';
  #cancelAsked = false;
  /** It goes back, or to the next daemon, before anything has begun. */
  #leaving = false;
  #lost = false;
  #detached = false;
  /** The session is of no use to the agent that the task names. */
  #isForeign = false;
  settlement: Settlement | undefined;
  /** Never rejects. */
  readonly done: Promise<void>;

  private constructor(
    claim: Claim,
    settings: AttemptSettings,
    deps: TaskRunDeps,
    { agentName, permit, begin }: Beginning,
  ) {
    this.claim = claim;
    this.#deps = deps;
    this.#settings = settings;
    this.since = deps.clock.monotonic();
    this.agentName = agentName;
    this.permit = permit;
    this.done = this.#carryOut(begin(this));
  }

  /** Begins the attempt that was claimed, under the conditions of the permit. */
  static launch(claim: Claim, permit: Permit, settings: AttemptSettings, deps: TaskRunDeps): TaskRun {
    let agentName: string | null = null;
    try {
      const resolved = agentOf(claim, permit.by);
      agentName = resolved?.agent.name ?? null;
      if (resolved === undefined) throw new AiwgdError('INTERNAL_ERROR', 'Nobody was found for the task');
      const terms = { ...resolved, reservedUsd: permit.reservedUsd, asked: permit.asked };
      const begin = (run: TaskRun): Promise<Ending> => run.#launch(terms);
      return new TaskRun(claim, settings, deps, { agentName, permit, begin });
    } catch (error) {
      const begin = (run: TaskRun): Promise<Ending> => run.#unlaunched(error);
      return new TaskRun(claim, settings, deps, { agentName, permit, begin });
    }
  }

  /** Stores a decision about a claim that is never begun. */
  static settle(claim: Claim, settlement: Settlement, settings: AttemptSettings, deps: TaskRunDeps): TaskRun {
    const begin = (): Promise<Ending> => Promise.resolve(settlement);
    return new TaskRun(claim, settings, deps, { agentName: null, permit: undefined, begin });
  }

  /** Takes up an attempt that an earlier daemon left: to follow it, to report its end, or to decide without one. */
  static adopt(
    claim: Claim,
    catalogue: AgentCatalogue,
    settings: AttemptSettings,
    deps: TaskRunDeps,
    cancelRequested: boolean,
  ): TaskRun {
    const begun = adoptAttempt(claim, catalogue, settings, deps);
    const run = new TaskRun(claim, settings, deps, {
      agentName: begun?.agent.name ?? null,
      permit: begun && permitOf(begun),
      begin: async (self) => {
        self.#begun = begun;
        if (begun === undefined) return withoutAttempt(claim, settings, deps, cancelRequested);
        const checked = verificationOf(claim, begun) !== undefined;
        const [end] = await Promise.all([
          begun.attempt.done,
          checked && endLeftCheck(deps, begun.attempt.id),
        ]);
        return end;
      },
    });
    if (begun !== undefined && cancelRequested) run.cancel();
    return run;
  }

  #launch(terms: LaunchTerms): Promise<Ending> {
    try {
      const preparing = prepareAttempt(this.claim, terms, this.#deps);
      return preparing === undefined ? this.#start(terms) : this.#launchPrepared(terms, preparing);
    } catch (error) {
      return this.#unlaunched(error);
    }
  }

  async #launchPrepared(terms: LaunchTerms, preparing: Promise<Prepared>): Promise<Ending> {
    try {
      const prepared = await preparing;
      if (this.#leaving || this.#cancelAsked || this.#lost) {
        if (this.#lost) return null;
        return { kind: 'release', release: untouched(this.claim, this.claim.task.error) };
      }
      return await this.#start(terms, prepared);
    } catch (error) {
      return this.#unlaunched(error);
    }
  }

  #start(terms: LaunchTerms, prepared?: Prepared): Promise<AttemptEnd | null> {
    this.#begun = launchAttempt(this.claim, terms, this.#settings, this.#deps, prepared);
    const isolated = isolatingAgent(terms) !== undefined;
    this.#deps.events.started(this.claim.task, { by: terms.agent.name, isolated });
    return this.#begun.attempt.done;
  }

  /** The end of an attempt that never began. */
  async #unlaunched(error: unknown): Promise<Ending> {
    if (error instanceof LaunchFault) throw error;
    return refusedEnd(error, this.#deps.clock.now());
  }

  /** The attempt that is followed; undefined where there is none. */
  get attemptId(): string | undefined {
    return this.#begun?.attempt.id;
  }

  get phase(): RunPhase {
    return this.#phase;
  }

  get live(): LiveAttempt {
    const { pid = null, outputBytes = 0, sessionId = null } = this.#begun?.attempt ?? {};
    return { pid, outputBytes, sessionId, progress: this.#progress };
  }

  get #progress(): TaskProgress | null {
    const { progress = null, waitsFor = null } = this.#begun?.attempt ?? {};
    if (this.#checking !== undefined) return progressAt(progress, `check: ${this.#checking.command}`);
    return waitsFor === null ? progress : progressAt(progress, 'waits for an answer: aiwgd gate list');
  }

  cancel(): void {
    this.#cancelAsked = true;
    this.#checking?.abort();
    this.#begun?.attempt.end('cancel');
  }

  stop(graceMs: number): void {
    this.#leaving = true;
    this.#checking?.abort();
    this.#begun?.attempt.end('stop', graceMs);
  }

  hurry(): void {
    this.#begun?.attempt.hurry();
  }

  /** The lease is another's: ends the attempt and reports nothing. */
  lose(): void {
    this.#lost = true;
    this.#checking?.abort();
    this.#begun?.attempt.end('lost');
  }

  /** Leaves the attempt to the next daemon; what has ended already is still stored. */
  detach(): void {
    this.#leaving = true;
    this.#detached = true;
    this.#checking?.abort();
    this.#begun?.attempt.detach();
  }

  async #carryOut(ending: Promise<Ending>): Promise<void> {
    let end: Ending = null;
    let settlement: Settlement | null;
    try {
      end = await ending;
      settlement = end === null || this.#lost ? null : await this.#settle(end);
    } catch (error) {
      settlement = this.#afterFault(error);
    }
    const attemptEnd = end === null || 'kind' in end ? undefined : end;
    if (settlement === null) {
      this.#leave();
      return;
    }
    if (this.#cancelAsked && settlement.kind === 'release') settlement = asCancelled(settlement);
    await this.#store(settlement, attemptEnd);
  }

  /** Null where the next daemon is to decide. */
  async #settle(end: AttemptEnd | Settlement): Promise<Settlement | null> {
    if ('kind' in end) return end;
    this.#deps.onLaunch(null);
    noteSurprises(this.#deps.faults, this.agentName, end.verdict);
    const decided = this.#decide(end);
    const judged = this.#isAccepted(decided) ? decided : await this.#check(decided, end);
    const settlement = judged && this.#isForeign ? withoutSession(judged) : judged;
    return settlement && withCharge(settlement, this.#begun ? chargeFor(this.claim, this.#begun, end) : null);
  }

  /** Whether nothing has to judge what the agent did. */
  #isAccepted(settlement: Settlement): boolean {
    const isDone = settlement.kind === 'finish' && settlement.outcome.state === 'completed';
    return !isDone || this.#verification === undefined;
  }

  get #verification(): Verification | undefined {
    return this.#begun && verificationOf(this.claim, this.#begun);
  }

  async #check(completed: Settlement, end: AttemptEnd): Promise<Settlement | null> {
    const verification = this.#verification;
    if (verification === undefined || this.#begun === undefined) return completed;
    const check = new WorkCheck(this.#deps.commands, verification, this.claim, this.#begun);
    this.#checking = check;
    // Asked for while the agent was ending.
    if (this.#cancelAsked || this.#leaving || this.#lost) check.abort();
    const { actionTimeoutMs } = this.#settings;
    const feedback = await check.run(this.claim.task.timeoutMs ?? actionTimeoutMs);
    this.#checking = undefined;
    if (feedback === 'aborted') return this.#afterAbortedCheck(end);
    return feedback === undefined ? completed : notAccepted(this.claim, end, feedback, verification.rounds);
  }

  #afterAbortedCheck(end: AttemptEnd): Settlement | null {
    if (this.#detached || this.#lost) return null;
    return cutOff(this.claim, end);
  }

  /** Over without an outcome: the attempt is the next daemon's, or another's. */
  #leave(): void {
    if (this.#lost) {
      this.#deps.log.warn(
        { taskId: this.claim.task.id },
        'Task was taken over by another daemon; its attempt was ended',
      );
    }
    this.#phase = 'over';
    this.#deps.onSettling(this.claim);
  }

  #decide(end: AttemptEnd): Settlement {
    const { claim } = this;
    if (!end.launched) return { kind: 'release', release: untouched(claim, claim.task.error) };
    const circumstances = this.#deps.onEnded(claim, this.permit, end);
    this.#isForeign = circumstances.foreignSession;
    return settle(claim, end, this.#deps.clock.now(), this.#deps.random, circumstances);
  }

  #afterFault(error: unknown): Settlement {
    if (error instanceof LaunchFault) {
      this.#deps.onLaunch(error);
      const text = `The agent could not be started: ${error.message}`;
      // The fault may be this task's alone (a folder that nobody can remove): the others go first.
      const runAt = this.#deps.clock.now() + LAUNCH_AGAIN_MS;
      return { kind: 'release', release: { ...untouched(this.claim, text), runAt, waitReason: 'retry' } };
    }
    // A fault of our own: told as such, and the task does not come back to meet it again.
    this.#deps.log.error({ taskId: this.claim.task.id, error: messageOf(error) }, 'An attempt broke down');
    const end = refusedEnd(error, this.#deps.clock.now());
    return settle({ ...this.claim, retriesLeft: 0 }, end, this.#deps.clock.now(), this.#deps.random);
  }

  async #store(settlement: Settlement, end: AttemptEnd | undefined): Promise<void> {
    const { writer, log, onSettling } = this.#deps;
    const { task, token } = this.claim;
    this.#phase = 'storing';
    // First: whoever knows the outcome finds the file.
    if (end !== undefined) this.#writeResult(end);
    const writing = writer.write(token, settlement, {
      onDelayed: () => {
        this.#phase = 'unstored';
      },
      // A task that goes back may begin again by the very next claim: that it went back is told before.
      onStored: () => {
        if (settlement.kind === 'release') this.#tell(settlement, null);
      },
    });
    // In the same breath: the next claim shares the outcome's commit.
    onSettling(this.claim);
    try {
      const held = await writing;
      if (held) {
        this.settlement = settlement;
        if (settlement.kind === 'finish') this.#tell(settlement, end?.durationMs ?? null);
      } else {
        log.warn({ taskId: task.id }, 'The outcome came too late: the task is another daemon’s');
      }
    } catch (error) {
      log.error(
        { taskId: task.id, error: messageOf(error) },
        'The outcome of a task was not stored; the next daemon finds it in the files of the attempt',
      );
    }
    const delayed = this.phase === 'unstored';
    this.#phase = 'over';
    if (delayed) onSettling(this.claim);
  }

  /** Never throws: the store holds the outcome, this file is for people and scripts. */
  #writeResult(end: AttemptEnd): void {
    const { task } = this.claim;
    try {
      writeResultFile(this.#deps.attemptFolder(task.id, task.attempt), this.claim, end);
    } catch (error) {
      this.#deps.log.warn({ taskId: task.id, error: messageOf(error) }, 'result.json could not be written');
    }
  }

  #tell(settlement: Settlement, durationMs: number | null): void {
    const { events } = this.#deps;
    const { task } = this.claim;
    if (settlement.kind === 'finish')
      return events.ended(task, withTotal(this.claim, settlement.outcome), durationMs);
    const { waitReason, runAt, error } = settlement.release;
    if (this.permit === undefined && waitReason !== null) events.waits(task, { waitReason, runAt });
    else if (runAt !== null) events.retrying(task, error, runAt);
    else events.queued(task);
  }
}
