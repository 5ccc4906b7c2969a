import type { Clock } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import { AiwgdError, messageOf } from '../protocol/errors.js';
import type { Claim } from '../tasks/task-store.js';
import type { AgentCatalogue, ResolvedAgent } from './agent-catalogue.js';
import { Attempt, type AttemptEnd, failure } from './attempt.js';
import { agentEnvironment } from './environment.js';
import { type Launcher, LaunchFault } from './launcher.js';
import { writeResultFile } from './result-file.js';
import { bareEnd, type Settlement, settle, untouched } from './retry-policy.js';
import type { SettlementWriter } from './settlement-writer.js';
import type { SurvivorScan } from './survivor-scan.js';
import type { TaskEvents } from './task-events.js';

export interface TaskRunDeps {
  clock: Clock;
  log: Log;
  launcher: Launcher;
  scan: SurvivorScan;
  events: TaskEvents;
  writer: SettlementWriter;
  random: () => number;
  projectRoot: string;
  baseEnvironment: Readonly<Record<string, string | undefined>>;
  attemptFolder: (taskId: string, attempt: number) => string;
  /** The processes are gone and the outcome is on its way to the store: the slot can be claimed for. */
  onSettling: () => void;
  /** Null after a launch that went well. */
  onLaunch: (fault: LaunchFault | null) => void;
}

export interface TaskRunSettings {
  actionTimeoutMs: number;
  killGraceMs: number;
}

/** `unstored`: ended, but the store cannot take the outcome yet, so the slot stays taken. */
export type RunPhase = 'running' | 'storing' | 'unstored' | 'over';

/** Carries one claim through: attempt, decision, outcome stored, outcome told. */
export class TaskRun {
  readonly claim: Claim;
  /** The name of the agent whose limits count; null where the task's agent is unknown. */
  readonly agentName: string | null;
  readonly #deps: TaskRunDeps;
  readonly #attempt: Attempt | undefined;
  #phase: RunPhase = 'running';
  #cancelAsked = false;
  #lost = false;
  /** What was stored; undefined before, and where nothing was. */
  settlement: Settlement | undefined;
  /** Never rejects. */
  readonly done: Promise<void>;

  constructor(claim: Claim, catalogue: AgentCatalogue, settings: TaskRunSettings, deps: TaskRunDeps) {
    this.claim = claim;
    this.#deps = deps;
    const resolved = catalogue.resolve(claim.task.agent);
    this.agentName = resolved?.agent.name ?? null;
    let ended: Promise<AttemptEnd>;
    try {
      if (resolved === undefined)
        throw new AiwgdError('INVALID_PARAMS', catalogue.describeUnknown(claim.task.agent));
      this.#attempt = this.#launch(resolved, settings);
      ended = this.#attempt.done;
      deps.events.started(claim.task, this.#attempt.pid);
    } catch (error) {
      ended =
        error instanceof LaunchFault
          ? Promise.reject<AttemptEnd>(error)
          : Promise.resolve(refused(error, deps.clock.now()));
    }
    this.done = this.#carryOut(ended);
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

  #launch({ agent, subAgent }: ResolvedAgent, settings: TaskRunSettings): Attempt {
    const { claim } = this;
    const { task } = claim;
    const { projectRoot, attemptFolder, baseEnvironment, events } = this.#deps;
    const launch = agent.provider.prepare({ prompt: task.prompt, subAgent, resume: task.sessionId });
    const env = agentEnvironment({
      base: baseEnvironment,
      allow: [...agent.provider.envFamily, ...(agent.config.env_allow ?? [])],
      provider: launch.env,
      fixed: agent.config.env ?? {},
      taskId: task.id,
      attemptId: claim.attemptId,
      projectRoot,
    });
    return new Attempt(
      {
        taskId: task.id,
        attemptId: claim.attemptId,
        attempt: task.attempt,
        folder: attemptFolder(task.id, task.attempt),
        stdin: launch.stdin,
        program: launch.program,
        args: launch.args,
        env,
        cwd: task.cwd ?? projectRoot,
        projectRoot,
        parser: agent.provider.createParser(),
        timeoutMs: task.timeoutMs ?? settings.actionTimeoutMs,
        killGraceMs: settings.killGraceMs,
        keepBackground: agent.config.keep_background ?? false,
      },
      { ...this.#deps, onOutput: (sizes) => events.output(task, sizes) },
    );
  }

  async #carryOut(ended: Promise<AttemptEnd>): Promise<void> {
    const { deps, claim } = { deps: this.#deps, claim: this.claim };
    let durationMs: number | null = null;
    let settlement: Settlement;
    try {
      const end = await ended;
      durationMs = end.durationMs;
      settlement = settle(claim, end, deps.clock.now(), deps.random);
      deps.onLaunch(null);
    } catch (error) {
      settlement = this.#afterFault(error);
    }
    if (this.#lost) {
      deps.log.warn(
        { taskId: claim.task.id },
        'Task was taken over by another daemon; its attempt was ended',
      );
      this.#phase = 'over';
      deps.onSettling();
      return;
    }
    if (this.#cancelAsked && settlement.kind === 'release')
      settlement = bareEnd('cancelled', 'Cancelled', settlement.release);
    const file = this.#writeResult(ended);
    await this.#store(settlement, durationMs, file);
  }

  #afterFault(error: unknown): Settlement {
    if (error instanceof LaunchFault) {
      this.#deps.onLaunch(error);
      const text = `The agent could not be started: ${error.message}`;
      return { kind: 'release', release: untouched(this.claim, text) };
    }
    // A fault of our own: told as such, and the task does not come back to meet it again.
    this.#deps.log.error({ taskId: this.claim.task.id, error: messageOf(error) }, 'An attempt broke down');
    const end = refused(error, this.#deps.clock.now());
    return settle({ ...this.claim, retriesLeft: 0 }, end, this.#deps.clock.now(), this.#deps.random);
  }

  async #store(settlement: Settlement, durationMs: number | null, file: Promise<void>): Promise<void> {
    const { writer, log, onSettling } = this.#deps;
    const { task, token } = this.claim;
    this.#phase = 'storing';
    const writing = writer.write(token, settlement, () => {
      this.#phase = 'unstored';
    });
    // In the same breath: the next claim shares the outcome's commit.
    onSettling();
    try {
      const held = await writing;
      await file;
      if (held) {
        this.settlement = settlement;
        this.#tell(settlement, durationMs);
      } else {
        log.warn({ taskId: task.id }, 'The outcome came too late: the task is another daemon’s');
      }
    } catch (error) {
      log.error(
        { taskId: task.id, error: messageOf(error) },
        'The outcome of a task was not stored; it will be run again',
      );
    }
    const delayed = this.#phaseNow() === 'unstored';
    this.#phase = 'over';
    if (delayed) onSettling();
  }

  /** Never rejects: the store holds the outcome, this file is for people and scripts. */
  async #writeResult(ended: Promise<AttemptEnd>): Promise<void> {
    const { task } = this.claim;
    try {
      await writeResultFile(this.#deps.attemptFolder(task.id, task.attempt), this.claim, await ended);
    } catch (error) {
      if (error instanceof LaunchFault) return;
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
    else if (settlement.release.runAt !== null)
      events.retrying(task, settlement.release.error, settlement.release.runAt);
    else events.queued(task);
  }
}

/** The end of an attempt that never began. */
function refused(error: unknown, now: number): AttemptEnd {
  return {
    verb: null,
    verdict: failure(messageOf(error), 'bad_arguments'),
    exitCode: null,
    signal: null,
    exitKnown: true,
    outputBytes: 0,
    stderrBytes: 0,
    startedAt: now,
    durationMs: 0,
  };
}
