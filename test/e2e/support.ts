import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { type Client, connect } from '#aiwgd/ipc/client.js';
import { findRunningDaemon } from '#aiwgd/ipc/running-daemon.js';
import { isAlive, type ProcessIdentity } from '#aiwgd/platform/process-identity.js';
import { type ProjectPaths, projectPaths } from '#aiwgd/protocol/project-paths.js';
import { endNow, tempFolder, until } from '../support/temp.js';

export const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface Ran {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  input?: string | Buffer;
  env?: Record<string, string>;
  cwd?: string;
}

/** An agent of the tests: a shell script that gets the prompt on stdin. */
export function script(text: string): { provider: 'command'; command: string[] } {
  return { provider: 'command', command: ['/bin/sh', '-c', text] };
}

/** A project in a folder of its own, whose daemon and agents are gone when the test is over. */
export class Project {
  readonly root: string;
  readonly paths: ProjectPaths;
  /** The whole environment of commands and daemons: nothing of ours. */
  readonly env: Record<string, string>;
  readonly #seen = new Map<number, ProcessIdentity>();

  constructor(options: { config?: object; name?: string } = {}) {
    const base = tempFolder();
    this.root = options.name === undefined ? join(base, 'project') : join(base, options.name);
    mkdirSync(join(this.root, '.aiwg'), { recursive: true });
    this.paths = projectPaths(this.root);
    const home = join(base, 'home');
    mkdirSync(home);
    this.env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', HOME: home, LANG: 'C.UTF-8', TMPDIR: base };
    if (options.config !== undefined) this.configure(options.config);
    onTestFinished(() => this.#cleanUp());
  }

  configure(config: object): void {
    writeFileSync(this.paths.config, JSON.stringify(config));
  }

  /** Runs a command of the CLI to its end, without blocking this process. */
  run(args: string[], options: RunOptions = {}): Promise<Ran> {
    return runProgram(process.execPath, [CLI, ...args], {
      ...options,
      cwd: options.cwd ?? this.root,
      env: { ...this.env, ...options.env },
    });
  }

  /** The same, and the test fails where it does not end with 0. Answers stdout. */
  async ok(args: string[], options: RunOptions = {}): Promise<string> {
    const ran = await this.run(args, options);
    if (ran.code !== 0) throw new Error(`aiwgd ${args.join(' ')}: ${JSON.stringify(ran)}\n${this.logTail()}`);
    return ran.stdout;
  }

  async json<T>(args: string[], options: RunOptions = {}): Promise<T> {
    return JSON.parse(await this.ok([...args, '--json'], options)) as T;
  }

  async start(options: RunOptions = {}): Promise<ProcessIdentity> {
    await this.ok(['start'], options);
    return this.daemon();
  }

  /** The living daemon; the test fails where there is none. */
  daemon(): ProcessIdentity {
    const identity = findRunningDaemon(this.paths);
    if (identity === undefined) throw new Error(`no daemon runs in ${this.root}\n${this.logTail()}`);
    this.#seen.set(identity.pid, identity);
    return identity;
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const identity = this.daemon();
    process.kill(identity.pid, signal);
    await until('the daemon is gone', () => !isAlive(identity));
  }

  async connect(): Promise<Client> {
    const client = await connect({ project: this.root });
    onTestFinished(() => client.close());
    return client;
  }

  logTail(): string {
    return existsSync(this.paths.log)
      ? readFileSync(this.paths.log, 'utf8').split('\n').slice(-15).join('\n')
      : '';
  }

  /** Every process whose environment names this project, as agents' do. */
  agents(): number[] {
    return processesWith(`AIWG_PROJECT=${this.root}\0`);
  }

  async #cleanUp(): Promise<void> {
    const running = existsSync(this.paths.daemon) ? findRunningDaemon(this.paths) : undefined;
    if (running !== undefined) this.#seen.set(running.pid, running);
    for (const identity of this.#seen.values()) if (isAlive(identity)) endNow(identity.pid);
    for (const identity of this.#seen.values()) await until('the daemon is gone', () => !isAlive(identity));
    for (const pid of this.agents()) endNow(pid);
  }
}

/** Pids of processes in whose environment `mark` stands. */
export function processesWith(mark: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return `${readFileSync(`/proc/${name}/environ`, 'utf8')}\0`.includes(mark);
      } catch {
        return false;
      }
    })
    .map(Number);
}

export function runProgram(
  program: string,
  args: string[],
  { input, env, cwd }: RunOptions & { env: Record<string, string> },
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env, stdio: 'pipe' });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
    // A program that ends without reading is not our failure.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input ?? '');
  });
}

/** Whether this machine lets us mount, make namespaces and the like. */
export function isRoot(): boolean {
  return process.getuid?.() === 0 && spawnSync('unshare', ['--version']).status === 0;
}
