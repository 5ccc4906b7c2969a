import { constants } from 'node:os';
import { bootId, isAlive, type ProcessIdentity } from '../platform/process-identity.js';
import type { AttemptFiles } from './attempt-files.js';
import type { RecordedProcess, RunnerNotes } from './runner.js';

export interface ProcessExit {
  exitCode: number | null;
  signal: string | null;
  /** False when nobody is left who could tell: both others are null then. */
  known: boolean;
  /** False when the daemon that was about to launch it went down before: the agent has done nothing. */
  launched: boolean;
}

export interface AgentProcessOptions {
  files: AttemptFiles;
  /** The boot in which it was launched. */
  bootId: string;
  /** True where this process launched the runner and will say when it has ended. */
  child: boolean;
  /** Whether any process of the attempt lives; asked where the runner has not named itself. */
  anyLives: () => boolean;
}

/** An agent under its runner, launched by this process or by an earlier one; known only by what the record says. */
export class AgentProcess {
  readonly #options: AgentProcessOptions;
  #notes: RunnerNotes = { runner: undefined, agent: undefined, exitCode: undefined };
  #runnerGone: boolean;
  #exit: ProcessExit | undefined;

  constructor(options: AgentProcessOptions) {
    this.#options = options;
    this.#runnerGone = options.bootId !== bootId();
  }

  /** The agent; undefined while the runner has not named it. */
  get agent(): ProcessIdentity | undefined {
    return this.#identity(this.#notes.agent);
  }

  get runner(): ProcessIdentity | undefined {
    return this.#identity(this.#notes.runner);
  }

  /** The runner, our child, has ended. */
  runnerEnded(): void {
    this.#runnerGone = true;
  }

  /** Looks once; the exit when the agent has ended. Throws when the record cannot be read. */
  look(): ProcessExit | undefined {
    if (this.#exit !== undefined) return this.#exit;
    // Asked before the record is read: what the runner wrote as its last act is in it then.
    const alone = this.#isAlone();
    this.#notes = this.#options.files.notes();
    const { exitCode } = this.#notes;
    if (exitCode !== undefined) this.#exit = exitOf(exitCode);
    else if (!alone) this.#wakeRunner();
    else if (!this.#agentLives()) this.#exit = this.#unknownExit();
    return this.#exit;
  }

  /**
   * A runner whose agent has ended without a word of it is about to write it down, unless somebody stopped it. Elsewhere
   * than on Linux each such question costs a program: there the time limit ends the wait.
   */
  #wakeRunner(): void {
    const { agent, runner } = this;
    if (process.platform !== 'linux' || agent === undefined || runner === undefined) return;
    if (isAlive(agent) || !isAlive(runner)) return;
    try {
      process.kill(runner.pid, 'SIGCONT');
    } catch {
      // It ended meanwhile: the next look finds what it wrote.
    }
  }

  /** Whether nobody is left to write down an end. */
  #isAlone(): boolean {
    if (this.#runnerGone || this.#options.child) return this.#runnerGone;
    const { runner } = this;
    this.#runnerGone = runner === undefined ? !this.#options.anyLives() : !isAlive(runner);
    return this.#runnerGone;
  }

  /** A runner names itself before anything else. Our own, if it could not even do that, was launched all the same. */
  #unknownExit(): ProcessExit {
    const launched = this.#options.child || this.#notes.runner !== undefined;
    return { exitCode: null, signal: null, known: false, launched };
  }

  #agentLives(): boolean {
    const { agent } = this;
    return agent !== undefined && isAlive(agent);
  }

  #identity(recorded: RecordedProcess | undefined): ProcessIdentity | undefined {
    return recorded && { ...recorded, bootId: this.#options.bootId };
  }
}

const SIGNAL_NAMES = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/** A shell tells an end by signal n as 128 + n, and so it is read. */
function exitOf(code: number): ProcessExit {
  const signal = code > 128 ? SIGNAL_NAMES.get(code - 128) : undefined;
  return signal === undefined
    ? { exitCode: code, signal: null, known: true, launched: true }
    : { exitCode: null, signal, known: true, launched: true };
}
