import { rmSync } from 'node:fs';
import { bootId, type ProcessIdentity } from '../platform/process-identity.js';
import { messageOf } from '../protocol/errors.js';
import type { TaskProgress } from '../protocol/task.js';
import { AgentProcess, type ProcessExit } from './agent-process.js';
import { MAX_RESULT_BYTES, type Verdict } from './agent-provider.js';
import { AttemptFiles } from './attempt-files.js';
import type { AttemptHeader } from './attempt-header.js';
import { AttemptLimits } from './attempt-limits.js';
import type { AttemptDeps, AttemptLaunch, AttemptPlan } from './attempt-plan.js';
import { AttemptQuestions } from './attempt-questions.js';
import { isVerb, outranks, type Verb } from './attempt-verb.js';
import { failedVerdict } from './failed-verdict.js';
import { findProgram, LaunchFault, LaunchRefused, type LaunchRequest, launch } from './launcher.js';
import { FIRST_LOOK_MS, LookPace } from './look-pace.js';
import { OutputTail } from './output-tail.js';
import { Pause } from './pause.js';
import { endTree } from './process-tree.js';

export interface AttemptEnd {
  /** What ended it; null when it ended by itself. */
  verb: Verb | null;
  verdict: Verdict;
  exitCode: number | null;
  signal: string | null;
  /** False when nobody could tell how the agent's process ended. */
  exitKnown: boolean;
  /** False when it was given up before the agent was launched. */
  launched: boolean;
  outputBytes: number;
  stderrBytes: number;
  /** Wall time in milliseconds since 1970. */
  startedAt: number;
  durationMs: number;
}

const STDERR_TAIL_BYTES = 4096;
/** A runner has written its first word by then, whatever the machine's load. */
const FIRST_WORD_MS = 1_000;
/** A runner that has not named its agent by then never will: some two seconds. */
const LOOKS_FOR_A_NAME = 16;

/**
 * One run of an agent, from its launch, or from where an earlier daemon left it, to its verdict. It holds its processes
 * until none of them is left. All that happens is seen by looking: at the record, at the files, at the time.
 */
export class Attempt {
  readonly #plan: AttemptPlan;
  readonly #deps: AttemptDeps;
  readonly #header: AttemptHeader;
  readonly #files: AttemptFiles;
  readonly #process: AgentProcess;
  readonly #tail: OutputTail;
  readonly #limits: AttemptLimits;
  readonly #pace: LookPace;
  /** Undefined for agents that ask nothing. */
  readonly #questions: AttemptQuestions | undefined;
  readonly #hurry = new AbortController();
  readonly #adopted: boolean;
  #verb: Verb | null = null;
  #graceMs = 0;
  #ending: Promise<number[]> | undefined;
  #over = false;
  #detached = false;
  readonly #pause: Pause;
  #blind = false;
  #looks = 0;
  #toldProgress: TaskProgress | null = null;
  /** Null when it was left to the next daemon. */
  readonly done: Promise<AttemptEnd | null>;

  private constructor(
    plan: AttemptPlan,
    deps: AttemptDeps,
    opened: { files: AttemptFiles; header: AttemptHeader; process: AgentProcess; adopted: boolean },
  ) {
    this.#plan = plan;
    this.#deps = deps;
    this.#header = opened.header;
    this.#files = opened.files;
    this.#process = opened.process;
    this.#adopted = opened.adopted;
    this.#pause = new Pause(deps.clock);
    this.#tail = new OutputTail(this.#files, plan.parser);
    this.#pace = new LookPace(deps.clock, (sizes) => {
      deps.onOutput(sizes);
      if (!this.#over) this.#tellProgress();
    });
    const { staysOpen = false, startedMono } = this.#header;
    const waitedMs = staysOpen ? this.#files.waited().ms : 0;
    this.#limits = new AttemptLimits({ ...plan, staysOpen, waitedMs }, deps.clock, startedMono);
    this.#questions = AttemptQuestions.of({ plan, deps, ...opened, limits: this.#limits }, () =>
      this.#pause.cutShort(),
    );
    this.done = this.#carryOut();
  }

  /**
   * Makes the files and launches the agent. Throws a `LaunchRefused` for what would never work, a `LaunchFault` where
   * the machine cannot now; the agent has done nothing then.
   */
  static launch(plan: AttemptPlan, request: AttemptLaunch, deps: AttemptDeps): Attempt {
    const { clock, scan } = deps;
    const program = programFor(plan, request);
    const header: AttemptHeader = {
      attemptId: plan.attemptId,
      project: request.projectRoot,
      bootId: bootId(),
      startedAt: clock.now(),
      startedMono: clock.monotonic(),
      agentName: request.agentName,
      agent: request.agent,
      folder: request.cwd,
      reservedUsd: request.reservedUsd,
      staysOpen: request.staysOpen,
    };
    let attempt: Attempt | undefined;
    let files: AttemptFiles;
    try {
      files = AttemptFiles.create(plan.folder, request, header, (open) => {
        launch(program, request, open, () => attempt?.runnerEnded());
      });
    } catch (error) {
      throw error instanceof LaunchRefused || error instanceof LaunchFault ? error : new LaunchFault(error);
    }
    const process = new AgentProcess({
      files,
      bootId: header.bootId,
      child: true,
      anyLives: () => scan.mayHaveSurvivors(plan.attemptId),
    });
    attempt = new Attempt(plan, deps, { files, header, process, adopted: false });
    return attempt;
  }

  /** Takes an attempt over from an earlier daemon, wherever it is: it may run, or have ended meanwhile. */
  static adopt(
    plan: AttemptPlan,
    opened: { files: AttemptFiles; header: AttemptHeader },
    deps: AttemptDeps,
  ): Attempt {
    const adoptedAt = deps.clock.monotonic();
    const process = new AgentProcess({
      files: opened.files,
      bootId: opened.header.bootId,
      child: false,
      // A runner that was launched in the last moment of its daemon may not have got to its first word.
      anyLives: () =>
        deps.clock.monotonic() - adoptedAt < FIRST_WORD_MS || deps.scan.mayHaveSurvivors(plan.attemptId),
    });
    const attempt = new Attempt(plan, deps, { ...opened, process, adopted: true });
    const begun = opened.files.ending();
    if (isVerb(begun)) attempt.end(begun);
    return attempt;
  }

  /** The agent's; null before it is known. */
  get pid(): number | null {
    return this.#process.agent?.pid ?? null;
  }

  get id(): string {
    return this.#plan.attemptId;
  }

  get outputBytes(): number {
    return this.#pace.sizes.stdout;
  }

  /** `gate`: it cannot go on before a person has answered. */
  get waitsFor(): 'gate' | null {
    return this.#verb === null && this.#questions?.waiting === true ? 'gate' : null;
  }

  /** Null where it does not tell. */
  get progress(): TaskProgress | null {
    return this.#plan.parser.progress;
  }

  get sessionId(): string | null {
    return this.#plan.parser.sessionId;
  }

  /** Ends it: SIGTERM, `graceMs`, SIGKILL to all its processes. Does nothing once the agent has ended. */
  end(verb: Verb, graceMs: number = this.#plan.killGraceMs): void {
    if (this.#over || !outranks(verb, this.#verb)) return;
    if (this.#verb === null) this.#graceMs = graceMs;
    this.#verb = verb;
    this.#noteEnding(verb);
    this.#pause.cutShort();
  }

  /** Before the first signal: a daemon that takes over in the middle must know that it was us, and why. */
  #noteEnding(verb: Verb): void {
    try {
      this.#files.noteEnding(verb);
    } catch (error) {
      this.#deps.log.warn(
        { taskId: this.#plan.taskId, error: messageOf(error) },
        'Why an attempt is ended cannot be noted',
      );
    }
  }

  /** No more grace for whatever is being ended. */
  hurry(): void {
    this.#hurry.abort();
  }

  /** Leaves the agent to the next daemon; does nothing once it has ended. */
  detach(): void {
    this.#detached = true;
    this.#pause.cutShort();
  }

  /** The runner, our child, has ended. */
  runnerEnded(): void {
    this.#process.runnerEnded();
    this.#pause.cutShort();
  }

  async #carryOut(): Promise<AttemptEnd | null> {
    try {
      const exit = await this.#follow();
      if (exit === null) return null;
      this.#over = true;
      // Before whatever is left of it is ended: nobody is to answer in vain.
      this.#questions?.end();
      await this.#endRest();
      const verdict = await this.#judge(exit);
      return this.#endOf(exit, verdict);
    } finally {
      this.#over = true;
      this.#questions?.leave();
      this.#files[Symbol.dispose]();
    }
  }

  /** Until the agent's end; null when it was detached before. */
  async #follow(): Promise<ProcessExit | null> {
    // What was launched a moment ago has nothing to show; the end of an adopted one may be long past.
    if (!this.#adopted) await this.#pause.wait(FIRST_LOOK_MS);
    for (;;) {
      if (this.#detached) return null;
      const exit = await this.#look();
      if (exit !== undefined) return exit;
      this.#looks += 1;
      const grown = this.#pace.note(await this.#tail.look(), this.pid !== null);
      if (this.#verb === null) this.#questions?.look();
      const waiting = this.waitsFor !== null;
      const exceeded = this.#limits.exceeded({ hasResult: this.#plan.parser.hasResult, grown, waiting });
      if (exceeded !== null) this.end(exceeded);
      this.#beginEnding();
      await this.#pause.wait(Math.min(this.#pace.pauseMs, this.#limits.nextMs()));
    }
  }

  /** The agent's end, if it has come. What cannot be seen now may be seen at the next look; once all is ended, never. */
  async #look(): Promise<ProcessExit | undefined> {
    try {
      return this.#process.look();
    } catch (error) {
      if (!this.#blind) {
        const { taskId } = this.#plan;
        this.#deps.log.error({ taskId, error: messageOf(error) }, 'An attempt cannot be looked at');
      }
      this.#blind = true;
      if (this.#ending === undefined) return undefined;
      await this.#ending;
      return { exitCode: null, signal: null, known: false, launched: true };
    }
  }

  #tellProgress(): void {
    const { progress } = this.#plan.parser;
    if (progress === null || progress === this.#toldProgress) return;
    this.#toldProgress = progress;
    this.#deps.onProgress(progress);
  }

  /** An agent that is not named yet is about to be: nobody would know whom to tell. */
  #beginEnding(): void {
    if (this.#verb === null || this.#ending !== undefined) return;
    if (this.pid === null && this.#looks < LOOKS_FOR_A_NAME) return;
    this.#ending = this.#endTree(this.#process.agent, this.#graceMs);
    // Awaited after the agent's exit; until then a failure is nobody's.
    this.#ending.catch(() => undefined);
  }

  #endTree(leader: ProcessIdentity | undefined, graceMs: number): Promise<number[]> {
    return endTree({
      attemptId: this.#plan.attemptId,
      leader,
      runner: this.#process.runner,
      graceMs,
      clock: this.#deps.clock,
      hurry: this.#hurry.signal,
    });
  }

  /** Waits for the end of all that the agent left. */
  async #endRest(): Promise<void> {
    const { taskId, attemptId, keepBackground, killGraceMs } = this.#plan;
    let left: number[] = [];
    if (this.#ending !== undefined) left = await this.#ending;
    else if (!keepBackground && this.#deps.scan.mayHaveSurvivors(attemptId))
      left = await this.#endTree(undefined, killGraceMs);
    if (left.length === 0) return;
    this.#deps.log.error(
      { taskId, pids: left },
      'Processes of an attempt cannot be ended, not even by SIGKILL',
    );
  }

  async #judge(exit: ProcessExit): Promise<Verdict> {
    const { parser, taskId, attempt } = this.#plan;
    try {
      this.#pace.last(await this.#tail.drain());
      if (this.#tail.skippedLines > 0) {
        this.#deps.log.warn(
          { taskId, attempt, lines: this.#tail.skippedLines },
          'Lines of over 8 MiB were not read for the verdict',
        );
      }
      return parser.verdict({
        exitCode: exit.exitCode,
        signal: exit.signal,
        stdoutTail: () => this.#files.tail('stdout', MAX_RESULT_BYTES),
        stderrTail: () => this.#files.tail('stderr', STDERR_TAIL_BYTES),
      });
    } catch (error) {
      return failedVerdict(`The attempt's output cannot be read: ${messageOf(error)}`, 'agent_error');
    }
  }

  #endOf(exit: ProcessExit, verdict: Verdict): AttemptEnd {
    const { exitCode, signal, known, launched } = exit;
    const { startedAt } = this.#header;
    // The runner's last word is the end itself, which may lie long before this daemon's start.
    const endedAt = known ? this.#files.notedAt() : this.#deps.clock.now();
    return {
      verb: this.#verb,
      verdict,
      exitCode,
      signal,
      exitKnown: known,
      launched,
      outputBytes: this.#pace.sizes.stdout,
      stderrBytes: this.#pace.sizes.stderr,
      startedAt,
      durationMs: Math.max(0, Math.round(endedAt - startedAt)),
    };
  }
}

function programFor(plan: AttemptPlan, request: LaunchRequest): string {
  try {
    return findProgram(request);
  } catch (error) {
    // Numbers repeat after a retry by hand: what an earlier attempt wrote is not this one's output.
    rmSync(plan.folder, { recursive: true, force: true });
    throw error;
  }
}
