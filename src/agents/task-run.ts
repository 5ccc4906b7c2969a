import { AiwgdError, messageOf } from '../protocol/errors.js';
import type { Claim } from '../tasks/task-store.js';
import { type Attempt, type AttemptEnd, failure } from './attempt.js';
import {
  type AttemptContext,
  type AttemptSettings,
  adoptAttempt,
  launchAttempt,
  withoutAttempt,
} from './begin-attempt.js';
import { agentOf, COMMAND_AGENT } from './command-task.js';
import { LaunchFault, LaunchRefused } from './launcher.js';
import type { Circumstances, Permit } from './limits/permit.js';
import { charged, chargeOf } from './money/charge.js';
import { writeResultFile } from './result-file.js';
import { bareEnd, type Settlement, settle, untouched } from './retry-policy.js';
import type { SettlementWriter } from './settlement-writer.js';

export interface TaskRunDeps extends AttemptContext {
  writer: SettlementWriter;
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
  attempt?: Attempt;
  ending: Promise<Ending>;
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
  readonly #attempt: Attempt | undefined;
  #phase: RunPhase = 'running';
  #cancelAsked = false;
  #lost = false;
  /** What was stored; undefined before, and where nothing was. */
  settlement: Settlement | undefined;
  /** Never rejects. */
  readonly done: Promise<void>;

  private constructor(claim: Claim, deps: TaskRunDeps, beginning: Beginning) {
    this.claim = claim;
    this.#deps = deps;
    this.since = deps.clock.monotonic();
    this.agentName = beginning.agentName;
    this.permit = beginning.permit;
    this.#attempt = beginning.attempt;
    this.done = this.#carryOut(beginning.ending);
  }

  /** Begins the attempt that was claimed. */
  static launch(claim: Claim, permit: Permit, settings: AttemptSettings, deps: TaskRunDeps): TaskRun {
    let agentName: string | null = null;
    let beginning: Beginning;
    try {
      const resolved = agentOf(claim, permit.by);
      agentName = resolved?.agent.name ?? null;
      if (resolved === undefined) throw new AiwgdError('INTERNAL_ERROR', 'Nobody was found for the task');
      const attempt = launchAttempt(claim, { ...resolved, ...permit }, settings, deps);
      beginning = { agentName, permit, attempt, ending: attempt.done };
    } catch (error) {
      const ending =
        error instanceof LaunchFault
          ? Promise.reject<Ending>(error)
          : Promise.resolve(refused(error, deps.clock.now()));
      beginning = { agentName, permit, ending };
    }
    const run = new TaskRun(claim, deps, beginning);
    if (beginning.attempt !== undefined) deps.events.started(claim.task, agentName);
    return run;
  }

  /** Stores a decision about a claim that is never begun. */
  static settle(claim: Claim, settlement: Settlement, deps: TaskRunDeps): TaskRun {
    return new TaskRun(claim, deps, {
      agentName: null,
      permit: undefined,
      ending: Promise.resolve(settlement),
    });
  }

  /** Takes up an attempt that an earlier daemon left: to follow it, to report its end, or to decide without one. */
  static adopt(
    claim: Claim,
    settings: AttemptSettings,
    deps: TaskRunDeps,
    cancelRequested: boolean,
  ): TaskRun {
    const adopted = adoptAttempt(claim, settings, deps);
    if (adopted === undefined) {
      const ending = withoutAttempt(claim, settings, deps, cancelRequested);
      return new TaskRun(claim, deps, { agentName: null, permit: undefined, ending });
    }
    const { attempt, agent, reservedUsd } = adopted;
    const permit = { by: { agent, subAgent: null }, reservedUsd, standsIn: false };
    const run = new TaskRun(claim, deps, { agentName: agent.name, permit, attempt, ending: attempt.done });
    if (cancelRequested) run.cancel();
    return run;
  }

  /** The attempt that is followed; undefined where there is none. */
  get attemptId(): string | undefined {
    return this.#attempt?.id;
  }

  get phase(): RunPhase {
    return this.#phase;
  }

  get live(): { pid: number | null; outputBytes: number; sessionId: string | null } {
    const { pid = null, outputBytes = 0, sessionId = null } = this.#attempt ?? {};
    return { pid, outputBytes, sessionId };
  }

  cancel(): void {
    this.#cancelAsked = true;
    this.#attempt?.end('cancel');
  }

  stop(graceMs: number): void {
    this.#attempt?.end('stop', graceMs);
  }

  hurry(): void {
    this.#attempt?.hurry();
  }

  /** The lease is another's: ends the attempt and reports nothing. */
  lose(): void {
    this.#lost = true;
    this.#attempt?.end('lost');
  }

  /** Leaves the attempt to the next daemon; what has ended already is still stored. */
  detach(): void {
    this.#attempt?.detach();
  }

  async #carryOut(ending: Promise<Ending>): Promise<void> {
    const deps = this.#deps;
    let end: Ending;
    let settlement: Settlement;
    try {
      end = await ending;
      if (end === null || this.#lost) {
        this.#leave(end);
        return;
      }
      settlement = 'kind' in end ? end : this.#decide(end);
      if (!('kind' in end)) deps.onLaunch(null);
    } catch (error) {
      end = null;
      settlement = this.#afterFault(error);
    }
    if (this.#cancelAsked && settlement.kind === 'release')
      settlement = bareEnd('cancelled', 'Cancelled', settlement.release);
    const attemptEnd = end === null || 'kind' in end ? undefined : end;
    await this.#store(
      attemptEnd === undefined ? settlement : this.#charged(settlement, attemptEnd),
      attemptEnd,
    );
  }

  /** Over without an outcome: the attempt is the next daemon's, or another's. */
  #leave(end: Ending): void {
    if (end !== null) {
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
    return settle(claim, end, this.#deps.clock.now(), this.#deps.random, circumstances);
  }

  #charged(settlement: Settlement, { launched, verdict }: AttemptEnd): Settlement {
    const { attemptId, agentName: agent } = this;
    if (attemptId === undefined || agent === null || agent === COMMAND_AGENT || !launched) return settlement;
    const reservedUsd = this.permit?.reservedUsd ?? null;
    return charged(settlement, chargeOf({ attemptId, agent, reservedUsd }, verdict));
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
    const end = refused(error, this.#deps.clock.now());
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
    const delayed = this.#phaseNow() === 'unstored';
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

  #phaseNow(): RunPhase {
    return this.#phase;
  }

  #tell(settlement: Settlement, durationMs: number | null): void {
    const { events } = this.#deps;
    const { task } = this.claim;
    if (settlement.kind === 'finish') events.ended(task, settlement.outcome, durationMs);
    else if (this.permit === undefined && settlement.release.waitReason !== null)
      events.queued(task, settlement.release);
    else if (settlement.release.runAt !== null)
      events.retrying(task, settlement.release.error, settlement.release.runAt);
    else events.queued(task);
  }
}

/** The end of an attempt that never began. */
function refused(error: unknown, now: number): AttemptEnd {
  const failureClass = error instanceof LaunchRefused ? error.failureClass : 'bad_arguments';
  return {
    verb: null,
    verdict: failure(messageOf(error), failureClass),
    exitCode: null,
    signal: null,
    exitKnown: true,
    launched: true,
    outputBytes: 0,
    stderrBytes: 0,
    startedAt: now,
    durationMs: 0,
  };
}
