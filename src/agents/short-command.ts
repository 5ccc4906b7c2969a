import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { type Clock, sleep } from '../platform/clock.js';
import { bootId, type ProcessIdentity, startTimeOf } from '../platform/process-identity.js';
import { endOfBytes } from './agent-provider.js';
import { agentEnvironment } from './environment.js';
import { findProgram } from './launcher.js';
import { endTree, reapStrays } from './process-tree.js';

export interface ShortCommand {
  /** By which its processes are found, a UUID. */
  mark: string;
  /** Program and arguments; the program is looked up as an agent's is. */
  command: readonly string[];
  env: Readonly<Record<string, string>>;
  stdin: string;
  timeoutMs: number;
  signal: AbortSignal;
  /** Absolute; the project's root where absent. */
  cwd?: string;
  /** The task in whose name it runs. */
  taskId?: string;
  /** Variables of ours that it may see, beside those of every agent. */
  allow?: readonly string[];
  /** What of its output is kept: the end of both streams, as they came; the end of stderr where absent. */
  keep?: { streams: 'both'; bytes: number };
}

export interface ShortAnswer {
  /** Null where a signal ended it. */
  exitCode: number | null;
  timedOut: boolean;
  /** The end of what it wrote: to stderr alone, or to both. */
  output: string;
}

const STDERR_KEPT = 4_096;
const KILL_GRACE_MS = 1_000;
/** For the rest of what was said; somebody may hold the pipe who hides from us. */
const STDERR_PATIENCE_MS = 200;

/**
 * Runs programs that answer a question by their exit code: within a time, in the environment of agents, and with none of
 * their processes left afterwards. Unlike an agent they do not outlive the daemon.
 */
export class ShortCommands {
  readonly #clock: Clock;
  readonly #projectRoot: string;
  readonly #base: Readonly<Record<string, string | undefined>>;

  constructor(options: {
    clock: Clock;
    projectRoot: string;
    environment: Readonly<Record<string, string | undefined>>;
  }) {
    this.#clock = options.clock;
    this.#projectRoot = options.projectRoot;
    this.#base = options.environment;
  }

  /** Resolves when none of its processes is left. Rejects where the program cannot be run. */
  async run(request: ShortCommand): Promise<ShortAnswer> {
    const { mark, command, env: fixed, stdin, timeoutMs, signal } = request;
    const { cwd = this.#projectRoot, taskId = '', allow = [], keep } = request;
    const [program = '', ...args] = command;
    const env = agentEnvironment({
      base: this.#base,
      allow,
      provider: {},
      fixed,
      eventFile: null,
      taskId,
      attemptId: mark,
      projectRoot: this.#projectRoot,
    });
    const path = findProgram({ program, args, env, cwd, projectRoot: this.#projectRoot });
    const child = spawn(path, args, {
      cwd,
      env,
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const kept = new OutputEnd(keep?.bytes ?? STDERR_KEPT);
    child.stderr.on('data', (piece: Buffer) => kept.add(piece));
    // Read in any case: a full pipe would hold it up.
    child.stdout.on('data', (piece: Buffer) => {
      if (keep !== undefined) kept.add(piece);
    });
    // One that does not read its stdin closes the pipe under us.
    child.stdin.on('error', () => undefined).end(stdin);
    const exited = new Promise<number | null>((resolve, reject) => {
      child.once('error', reject).once('exit', resolve);
    });
    const over = new AbortController();
    const stop = (): void => over.abort();
    signal.addEventListener('abort', stop, { once: true });
    const late = sleep(this.#clock, signal.aborted ? 0 : timeoutMs, over.signal).then(() => 'late' as const);
    try {
      const first = await Promise.race([exited, late]);
      const exitCode = first === 'late' ? null : first;
      await endTree({
        attemptId: mark,
        leader: first === 'late' ? identityOf(child.pid) : undefined,
        graceMs: first === 'late' ? KILL_GRACE_MS : 0,
        clock: this.#clock,
      });
      await this.#allSaid(child.stderr);
      if (keep !== undefined) await this.#allSaid(child.stdout);
      return { exitCode, timedOut: first === 'late', output: kept.text() };
    } finally {
      over.abort();
      signal.removeEventListener('abort', stop);
      child.stderr.destroy();
      child.stdout.destroy();
    }
  }

  /** An exit is told before the last of the output. */
  async #allSaid(stream: Readable): Promise<void> {
    const said = new AbortController();
    stream.once('close', () => said.abort());
    if (!stream.closed) await sleep(this.#clock, STDERR_PATIENCE_MS, said.signal);
  }

  /** Ends what carries one of the marks: commands of a daemon that was killed. */
  async endLeft(marks: readonly string[]): Promise<void> {
    const ours = new Set(marks);
    await reapStrays({
      projectRoot: this.#projectRoot,
      isOurs: (id) => ours.has(id),
      graceMs: KILL_GRACE_MS,
      clock: this.#clock,
    });
  }
}

/** The last bytes of what was written. */
class OutputEnd {
  readonly #limit: number;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(piece: Buffer): void {
    // A few more than are shown, so that the cut finds the beginning of a character.
    this.#bytes = Buffer.concat([this.#bytes, piece]).subarray(-this.#limit - 4);
  }

  text(): string {
    return endOfBytes(this.#bytes, this.#limit);
  }
}

/** Undefined where it has ended. */
function identityOf(pid: number | undefined): ProcessIdentity | undefined {
  const startTime = pid === undefined ? undefined : startTimeOf(pid);
  return pid === undefined || startTime === undefined ? undefined : { pid, startTime, bootId: bootId() };
}
