import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Clock } from '../platform/clock.js';
import { AiwgdError } from '../protocol/errors.js';

export interface GitCall {
  cwd: string;
  args: readonly string[];
  input?: string | Uint8Array;
  /** Beside the fixed environment. */
  env?: Readonly<Record<string, string>>;
  /** Bytes of stdout that are taken; 64 MiB where not given. More ends git: an error, or with `cut` an answer. */
  maxBytes?: number;
  cut?: boolean;
  /** 2 minutes where not given. */
  timeoutMs?: number;
  /** Half of it would be worse than none: it is let finish, also when the daemon stops. */
  whole?: boolean;
  /** Told the pid at once. */
  onStart?: (pid: number) => void;
}

export interface GitAnswer {
  code: number;
  stdout: Buffer;
  /** The end of it. */
  stderr: string;
  /** Stdout was longer than what was taken. */
  cut: boolean;
}

/** What git may see of the daemon's environment; `NAME_*` stands for all that begin so. */
const ALLOWED = ['PATH', 'HOME', 'USER', 'LOGNAME', 'LANG', 'TMPDIR', 'SSH_AUTH_SOCK', 'GNUPGHOME'];
const ALLOWED_FAMILY = 'XDG_';

/** Nobody can be asked, nothing of a path is a pattern, and a look takes no lock. */
const FIXED_ENVIRONMENT = {
  GIT_TERMINAL_PROMPT: '0',
  GIT_LITERAL_PATHSPECS: '1',
  GIT_OPTIONAL_LOCKS: '0',
  GIT_EDITOR: 'true',
  LC_ALL: 'C',
};

/** A repository may name programs that git runs by the way; and what a look shows must not depend on settings. */
const FIXED_SETTINGS = [
  'core.hooksPath=/dev/null',
  'core.fsmonitor=false',
  'core.untrackedCache=false',
  'core.safecrlf=false',
  'core.quotePath=false',
  'gc.auto=0',
  'maintenance.auto=false',
  'status.showUntrackedFiles=all',
  'submodule.recurse=false',
  'user.useConfigOnly=true',
].flatMap((setting) => ['-c', setting]);

const DEFAULT_MAX_BYTES = 64 * 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 120_000;
const STDERR_KEPT = 8_192;
const KILL_GRACE_MS = 2_000;

/** A git command that did not do what it was asked; the message has its own words. */
export class GitFailure extends AiwgdError {
  override readonly name = 'GitFailure';
  readonly stderr: string;

  constructor(args: readonly string[], reason: string, stderr: string) {
    const words = stderr.trim();
    super('CONFLICT', `git ${args[0] ?? ''} ${reason}${words === '' ? '.' : `: ${words}`}`);
    this.stderr = words;
  }
}

/**
 * Runs git: without a shell, without hooks, prompts and daemons of its own, in an environment from an allow-list, within
 * a time and with bounded output. What runs is ended by `close`.
 */
export class Git {
  readonly #clock: Clock;
  readonly #env: Readonly<Record<string, string>>;
  readonly #running = new Set<() => void>();
  #closed = false;

  constructor(options: { clock: Clock; environment: Readonly<Record<string, string | undefined>> }) {
    this.#clock = options.clock;
    const allowed = Object.entries(options.environment).filter(
      ([name, value]) => value !== undefined && (ALLOWED.includes(name) || name.startsWith(ALLOWED_FAMILY)),
    ) as [string, string][];
    this.#env = { ...Object.fromEntries(allowed), ...FIXED_ENVIRONMENT };
  }

  /** Resolves with whatever it answered. Rejects where git cannot be run, takes too long or says too much. */
  run(call: GitCall): Promise<GitAnswer> {
    if (this.#closed && call.whole !== true) {
      return Promise.reject(new AiwgdError('DAEMON_STOPPING', 'The daemon stops; git is not run any more.'));
    }
    const { cwd, args, env = {} } = call;
    return new Promise((resolve, reject) => {
      // A group of its own: what git starts (filters, ssh) is ended with it.
      const child = spawn('git', ['--no-pager', ...FIXED_SETTINGS, ...args], {
        cwd,
        env: { ...this.#env, ...env },
        detached: true,
        stdio: ['pipe', 'pipe', 'pipe'],
      });
      if (child.pid !== undefined) call.onStart?.(child.pid);
      child.once('error', (error) => reject(whyNotRun(error, cwd)));
      // A git that has heard enough closes the pipe under us.
      child.stdin.on('error', () => undefined).end(call.input ?? '');
      this.#collect(child, call, resolve, reject);
    });
  }

  /** As `run`, and rejects with a `GitFailure` for another exit code than 0. Answers stdout. */
  async ok(call: GitCall): Promise<Buffer> {
    const { code, stdout, stderr } = await this.run(call);
    if (code !== 0) throw new GitFailure(call.args, `failed (exit code ${code})`, stderr);
    return stdout;
  }

  /** As `ok`: the text of one line. */
  async line(call: GitCall): Promise<string> {
    return (await this.ok(call)).toString('utf8').replace(/\n$/u, '');
  }

  /** As `line`; null where git ends with another code than 0. */
  async lineOrNull(call: GitCall): Promise<string | null> {
    const { code, stdout } = await this.run(call);
    return code === 0 ? stdout.toString('utf8').replace(/\n$/u, '') : null;
  }

  /** Ends what runs; nothing is run any more, but for what must be done whole. */
  close(): void {
    this.#closed = true;
    for (const end of this.#running) end();
  }

  #collect(
    child: ChildProcess,
    {
      args,
      maxBytes = DEFAULT_MAX_BYTES,
      cut: mayCut = false,
      timeoutMs = DEFAULT_TIMEOUT_MS,
      whole,
    }: GitCall,
    resolve: (answer: GitAnswer) => void,
    reject: (error: Error) => void,
  ): void {
    const chunks: Buffer[] = [];
    let bytes = 0;
    let stderr = '';
    let ended: string | undefined;
    let kill = this.#clock.setTimer(timeoutMs, () => end(`took longer than ${timeoutMs / 1_000} s`));
    const end = (reason: string): void => {
      if (ended !== undefined) return;
      ended = reason;
      signalGroup(child, 'SIGTERM');
      kill.cancel();
      kill = this.#clock.setTimer(KILL_GRACE_MS, () => signalGroup(child, 'SIGKILL'));
    };
    const stop = (): void => end('was ended, because the daemon stops');
    if (whole !== true) this.#running.add(stop);
    child.stdout?.on('data', (chunk: Buffer) => {
      if (bytes < maxBytes) chunks.push(chunk.subarray(0, maxBytes - bytes));
      bytes += chunk.length;
      if (bytes > maxBytes) end(`answered more than ${maxBytes} bytes`);
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-STDERR_KEPT);
    });
    child.once('close', (code, signal) => {
      kill.cancel();
      this.#running.delete(stop);
      const cut = bytes > maxBytes;
      const answered = ended === undefined ? code !== null : cut && mayCut;
      if (answered) resolve({ code: code ?? 0, stdout: Buffer.concat(chunks), stderr, cut });
      else reject(new GitFailure(args, ended ?? `was ended by ${signal}`, stderr));
    });
  }
}

function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // It ended by itself just now.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function whyNotRun(error: Error, cwd: string): Error {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return error;
  if (!existsSync(cwd)) return new AiwgdError('CONFLICT', `The folder ${cwd} is gone.`, { cause: error });
  return new AiwgdError(
    'INVALID_PARAMS',
    'The program git is not on PATH: install it, or set the isolation of the agent to none.',
    { cause: error },
  );
}
