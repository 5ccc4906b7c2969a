// Projects in temporary folders, all gone, with their daemons and agents, when the bench is over, however it ends.
import { spawn } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connect } from '#aiwgd/ipc/client.js';
import { findRunningDaemon } from '#aiwgd/ipc/running-daemon.js';
import { isAlive } from '#aiwgd/platform/process-identity.js';
import { projectPaths } from '#aiwgd/protocol/project-paths.js';
import { agentProcesses, until } from './processes.mjs';

export const CLI = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

const LARGE_BYTES = 1_000_000;

const living = new Set();
/**
 * Folders of projects that are over. They are removed when the whole bench is: on ext4 the kernel passes over inodes
 * that were freed in the last seconds, and after some thousand deletions each new file takes 1 ms instead of 0.06. The
 * rows that come next would pay for it.
 */
const leftFolders = new Set();

/**
 * Waits until a new file costs what it usually does, a minute at most: what ran before the bench may have deleted
 * thousands (a run of the tests does), and only rows of ours make files.
 */
export async function untilFilesAreCheap() {
  const folder = mkdtempSync(join(tmpdir(), 'aiwgd-bench-'));
  leftFolders.add(folder);
  for (let waited = 0, made = 0; waited < 60; waited += 2) {
    const begin = performance.now();
    for (const end = made + 200; made < end; made += 1) writeFileSync(join(folder, String(made)), '');
    if ((performance.now() - begin) / 200 < 0.2) return;
    await new Promise((resolve) => setTimeout(resolve, 2_000));
  }
}

/** An agent that is a shell script; the prompt is on its stdin. */
export function script(text, more = {}) {
  return { provider: 'command', command: ['/bin/sh', '-c', text], ...more };
}

/** Keeps its slot for as long as the bench takes. */
export const BLOCKER = { provider: 'command', command: ['sleep', '86400'] };

export class Project {
  /** `agents` by name; the first one is the default. `config`: further sections. */
  constructor({ agents, parallel = 2, daemon = {}, config = {} }) {
    this.base = realpathSync(mkdtempSync(join(tmpdir(), 'aiwgd-bench-')));
    living.add(this);
    this.root = join(this.base, 'project');
    this.paths = projectPaths(this.root);
    this.clients = [];
    // The whole environment of commands and daemons: nothing of ours.
    this.environment = {
      PATH: process.env.PATH ?? '/usr/bin:/bin',
      HOME: this.base,
      LANG: 'C.UTF-8',
      TMPDIR: this.base,
    };
    mkdirSync(this.paths.daemon, { recursive: true, mode: 0o700 });
    writeFileSync(
      this.paths.config,
      JSON.stringify({
        default_agent: Object.keys(agents)[0],
        agents,
        daemon: { max_parallel_actions: parallel, stop_grace_seconds: 0, ...daemon },
        ...config,
      }),
    );
  }

  /** Runs a command of the CLI and answers its stdout; throws where it fails. */
  run(...args) {
    return this.node(CLI, ...args);
  }

  /** The same for any program of Node; with `-e 0` the limit of every command: Node itself, starting and ending. */
  node(...args) {
    return new Promise((resolve, reject) => {
      const child = spawn(process.execPath, args, {
        cwd: this.root,
        env: this.environment,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let stdout = '';
      let stderr = '';
      child.stdout.on('data', (chunk) => (stdout += chunk));
      child.stderr.on('data', (chunk) => (stderr += chunk));
      child.once('error', reject);
      child.once('close', (code) => {
        if (code === 0) resolve(stdout);
        else reject(new Error(`node ${args.join(' ')} ended with ${code}: ${stderr}`));
      });
    });
  }

  async start() {
    await this.run('start');
    return this.pid;
  }

  async stop(...how) {
    this.disconnect();
    await this.run('stop', ...how);
  }

  get pid() {
    const daemon = findRunningDaemon(this.paths);
    if (daemon === undefined) throw new Error(`no daemon runs in ${this.root}`);
    return daemon.pid;
  }

  /** Ends the daemon as a crash does, and waits until it is gone. */
  async kill() {
    const daemon = findRunningDaemon(this.paths);
    process.kill(daemon.pid, 'SIGKILL');
    await until('the daemon is gone', () => !isAlive(daemon));
  }

  async connect() {
    const client = await connect({ project: this.root });
    this.clients.push(client);
    return client;
  }

  disconnect() {
    for (const client of this.clients.splice(0)) client.close();
  }

  /** Ends everything at once; synchronous, so that it also works in a handler of a signal. */
  end() {
    if (!living.delete(this)) return;
    leftFolders.add(this.base);
    this.disconnect();
    const daemon = findRunningDaemon(this.paths);
    if (daemon !== undefined) process.kill(daemon.pid, 'SIGKILL');
    for (const pid of agentProcesses(this.root)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended meanwhile.
      }
    }
    emptyLargeFiles(this.base);
  }
}

/** Their blocks are needed; their inodes are few. */
function emptyLargeFiles(folder) {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() && (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > LARGE_BYTES)
      truncateSync(path);
  }
}

/** Runs `work` with a project of which nothing runs afterwards. */
export async function withProject(options, work) {
  const project = new Project(options);
  try {
    return await work(project);
  } finally {
    project.end();
  }
}

export function removeAllProjects() {
  for (const project of living) project.end();
  for (const folder of leftFolders) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}
