import type { Clock, Timer } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import { messageOf } from '../protocol/errors.js';
import { MAX_RESULT_BYTES, type OutputParser, type Verdict } from './agent-provider.js';
import { AttemptFiles, type StreamSizes } from './attempt-files.js';
import {
  type AgentProcess,
  type Launcher,
  LaunchFault,
  LaunchRefused,
  type ProcessExit,
} from './launcher.js';
import { OutputTail } from './output-tail.js';
import { endTree } from './process-tree.js';
import type { SurvivorScan } from './survivor-scan.js';

/**
 * Why an attempt is ended from outside. An attempt has one ending: the first verb begins it, a later one of higher
 * rank only changes what the ending is called.
 */
const RANK = {
  /** It has given its result and does not exit. */
  finished: 0,
  /** It has shown no progress for too long. */
  stalled: 1,
  /** The daemon stops. */
  stop: 2,
  timeout: 3,
  cancel: 4,
  /** Another daemon owns the task now. */
  lost: 5,
} as const;
export type Verb = keyof typeof RANK;

export interface AttemptRequest {
  taskId: string;
  attemptId: string;
  attempt: number;
  /** Folder of the attempt's files. */
  folder: string;
  /** What the agent reads on stdin; null for an empty stdin. */
  stdin: string | null;
  program: string;
  args: readonly string[];
  env: Record<string, string>;
  cwd: string;
  projectRoot: string;
  parser: OutputParser;
  timeoutMs: number | null;
  killGraceMs: number;
  keepBackground: boolean;
}

export interface AttemptDeps {
  clock: Clock;
  log: Log;
  launcher: Launcher;
  scan: SurvivorScan;
  /** At most four times a second while the output grows, and once more at the end. */
  onOutput: (sizes: StreamSizes) => void;
}

export interface AttemptEnd {
  /** What ended it; null when it ended by itself. */
  verb: Verb | null;
  verdict: Verdict;
  exitCode: number | null;
  signal: string | null;
  /** False where nobody saw how the agent ended; code and signal are null then. */
  exitKnown: boolean;
  outputBytes: number;
  stderrBytes: number;
  /** Wall time in milliseconds since 1970. */
  startedAt: number;
  durationMs: number;
}

const OUTPUT_HINT_MS = 250;
/** An agent that has given its last result may take this long to exit. */
const POST_RESULT_MS = 10_000;
const STDERR_TAIL_BYTES = 4096;

/** One run of an agent, from its files to its verdict. It holds its processes until none of them is left. */
export class Attempt {
  readonly #request: AttemptRequest;
  readonly #deps: AttemptDeps;
  readonly #files: AttemptFiles;
  readonly #process: AgentProcess;
  readonly #tail: OutputTail;
  readonly #startedAt: number;
  readonly #startedMono: number;
  readonly #hurry = new AbortController();
  #verb: Verb | null = null;
  #ending: Promise<number[]> | undefined;
  #over = false;
  #timeout: Timer | undefined;
  #postResult: Timer | undefined;
  #sizes: StreamSizes = { stdout: 0, stderr: 0 };
  #hinted: { at: number; total: number } = { at: Number.NEGATIVE_INFINITY, total: 0 };
  /** Rejects with a `LaunchFault` where the machine could not run it; the agent has done nothing then. */
  readonly done: Promise<AttemptEnd>;

  /** Makes the files and launches the agent. Throws a `LaunchFault` when the files cannot be made. */
  constructor(request: AttemptRequest, deps: AttemptDeps) {
    this.#request = request;
    this.#deps = deps;
    this.#startedAt = deps.clock.now();
    this.#startedMono = deps.clock.monotonic();
    try {
      this.#files = new AttemptFiles(request.folder, request.stdin ?? '');
    } catch (error) {
      throw new LaunchFault(error);
    }
    this.#process = deps.launcher.launch({
      ...request,
      stdin: request.stdin === null ? null : this.#files.stdin,
      stdout: this.#files.stdout,
      stderr: this.#files.stderr,
    });
    this.#tail = new OutputTail(this.#files, request.parser, deps.clock, (sizes) => this.#look(sizes));
    this.done = this.#watch();
  }

  get pid(): number | null {
    return this.#process.pid ?? null;
  }

  get outputBytes(): number {
    return this.#sizes.stdout;
  }

  get sessionId(): string | null {
    return this.#request.parser.sessionId;
  }

  /** Ends it: SIGTERM, `graceMs`, SIGKILL to all its processes. Does nothing once the agent has ended. */
  end(verb: Verb, graceMs: number = this.#request.killGraceMs): void {
    if (this.#over) return;
    if (this.#verb === null || RANK[verb] > RANK[this.#verb]) this.#verb = verb;
    this.#ending ??= this.#endTree(graceMs);
  }

  /** No more grace for whatever is being ended. */
  hurry(): void {
    this.#hurry.abort();
  }

  #endTree(graceMs: number): Promise<number[]> {
    const ending = endTree({
      attemptId: this.#request.attemptId,
      leader: this.#process.identity(),
      graceMs,
      clock: this.#deps.clock,
      hurry: this.#hurry.signal,
    });
    // Awaited after the agent's exit; until then a failure is nobody's.
    ending.catch(() => undefined);
    return ending;
  }

  async #watch(): Promise<AttemptEnd> {
    const { timeoutMs } = this.#request;
    if (timeoutMs !== null) this.#timeout = this.#deps.clock.setTimer(timeoutMs, () => this.end('timeout'));
    this.#tail.start();
    try {
      const exit = await this.#exit();
      const verdict = exit instanceof LaunchRefused ? refusal(exit) : await this.#judge(exit);
      const end: AttemptEnd = {
        verb: this.#verb,
        verdict,
        exitCode: exit instanceof LaunchRefused ? null : exit.exitCode,
        signal: exit instanceof LaunchRefused ? null : exit.signal,
        exitKnown: true,
        outputBytes: this.#sizes.stdout,
        stderrBytes: this.#sizes.stderr,
        startedAt: this.#startedAt,
        durationMs: Math.round(this.#deps.clock.monotonic() - this.#startedMono),
      };
      return end;
    } finally {
      this.#stopTimers();
      this.#files[Symbol.dispose]();
    }
  }

  /** Waits for the agent, then for all that it left. */
  async #exit(): Promise<ProcessExit | LaunchRefused> {
    let exit: ProcessExit | LaunchRefused;
    try {
      exit = await this.#process.exited;
    } catch (error) {
      await this.#tail.drain();
      if (error instanceof LaunchRefused) return error;
      throw error;
    } finally {
      this.#over = true;
      this.#stopTimers();
    }
    const left = await (this.#ending ?? this.#endSurvivors());
    if (left.length > 0) {
      this.#deps.log.error(
        { taskId: this.#request.taskId, pids: left },
        'Processes of an attempt cannot be ended, not even by SIGKILL',
      );
    }
    return exit;
  }

  async #endSurvivors(): Promise<number[]> {
    const { attemptId, keepBackground, killGraceMs } = this.#request;
    if (keepBackground || !this.#deps.scan.mayHaveSurvivors(attemptId)) return [];
    return endTree({
      attemptId,
      leader: undefined,
      graceMs: killGraceMs,
      clock: this.#deps.clock,
      hurry: this.#hurry.signal,
    });
  }

  async #judge(exit: ProcessExit): Promise<Verdict> {
    const { parser, taskId, attempt } = this.#request;
    try {
      this.#sizes = await this.#tail.drain();
      if (this.#sizes.stdout + this.#sizes.stderr > this.#hinted.total) this.#deps.onOutput(this.#sizes);
      if (this.#tail.skippedLines > 0) {
        this.#deps.log.warn(
          { taskId, attempt, lines: this.#tail.skippedLines },
          'Lines of over 8 MiB were not read for the verdict',
        );
      }
      return parser.verdict({
        ...exit,
        stdoutTail: () => this.#files.tail('stdout', MAX_RESULT_BYTES),
        stderrTail: () => this.#files.tail('stderr', STDERR_TAIL_BYTES),
      });
    } catch (error) {
      return failure(`The attempt's output cannot be read: ${messageOf(error)}`, 'agent_error');
    }
  }

  #look(sizes: StreamSizes): void {
    this.#sizes = sizes;
    this.#watchResult();
    const total = sizes.stdout + sizes.stderr;
    const now = this.#deps.clock.monotonic();
    if (total === this.#hinted.total || now - this.#hinted.at < OUTPUT_HINT_MS) return;
    this.#hinted = { at: now, total };
    this.#deps.onOutput(sizes);
  }

  #watchResult(): void {
    if (!this.#request.parser.hasResult) {
      this.#postResult?.cancel();
      this.#postResult = undefined;
    } else {
      this.#postResult ??= this.#deps.clock.setTimer(POST_RESULT_MS, () => this.end('finished'));
    }
  }

  #stopTimers(): void {
    this.#timeout?.cancel();
    this.#postResult?.cancel();
  }
}

function refusal(error: LaunchRefused): Verdict {
  return failure(error.message, error.failureClass);
}

/** The verdict on an attempt that has nothing but a reason. */
export function failure(error: string, failureClass: Verdict['failureClass']): Verdict {
  const nothing = { result: null, sessionId: null, costUsd: null, usage: null, retryAt: null };
  return { ok: false, error, failureClass, ...nothing };
}
