// A project in a temporary folder, worked on through its public faces only: the command line, the socket, its files.
import { execFileSync, spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connect } from '#aiwgd/ipc/client.js';
import { daemonsOf, killNow, lives, markedProcesses, pause, statOf } from './processes.mjs';

const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const AGENT = fileURLToPath(new URL('agent.sh', import.meta.url));
/** A command that takes longer hangs. `start` has a limit of its own, which is longer. */
const COMMAND_LIMIT_MS = 70_000;
/** Longer than every grace and patience that a command has on a busy machine. */
const SLOW_MS = 20_000;
export const LOG_LIMIT = { bytes: 60_000, files: 3 };

const living = new Set();

export class LabProject {
  #mounts = [];
  /** Commands that took unreasonably long, in words. */
  slowCommands = [];

  constructor() {
    this.base = realpathSync(mkdtempSync(join(tmpdir(), 'aiwgd-crash-')));
    this.root = join(this.base, 'project');
    this.aiwg = join(this.root, '.aiwg');
    this.daemonFolder = join(this.aiwg, 'daemon');
    this.journalFile = join(this.base, 'journal');
    mkdirSync(this.aiwg, { recursive: true });
    writeFileSync(this.journalFile, '');
    // The whole environment of commands and daemons: nothing of ours.
    this.environment = { PATH: process.env.PATH, HOME: this.base, LANG: 'C.UTF-8', TMPDIR: this.base };
    living.add(this);
  }

  file(name) {
    return join(this.daemonFolder, name);
  }

  configure({ parallel, more = {} }) {
    const config = {
      default_agent: 'lab',
      agents: {
        lab: { provider: 'command', command: ['/bin/sh', AGENT], env: { LAB_JOURNAL: this.journalFile } },
      },
      daemon: {
        max_parallel_actions: parallel,
        heartbeat_interval_seconds: 0.2,
        stop_grace_seconds: 0.3,
        kill_grace_seconds: 0.3,
        log: { max_size_mb: LOG_LIMIT.bytes / 2 ** 20, max_files: LOG_LIMIT.files, level: 'debug' },
        ...more,
      },
    };
    this.writeConfig(JSON.stringify(config));
    return config;
  }

  writeConfig(text) {
    const path = join(this.aiwg, 'daemon.json');
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  }

  configText() {
    return readFileSync(join(this.aiwg, 'daemon.json'), 'utf8');
  }

  /** Runs a command of the CLI to its end. */
  run(args, { input = '' } = {}) {
    return new Promise((resolve, reject) => {
      const begun = performance.now();
      const child = spawn(process.execPath, [CLI, ...args], { cwd: this.root, env: this.environment });
      let [stdout, stderr] = ['', ''];
      child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
      child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
      const limit = setTimeout(() => {
        stderr += `(the laboratory ended it after ${COMMAND_LIMIT_MS} ms)`;
        child.kill('SIGKILL');
      }, COMMAND_LIMIT_MS);
      child.once('error', reject);
      child.once('close', (code) => {
        clearTimeout(limit);
        const ms = performance.now() - begun;
        if (ms > SLOW_MS)
          this.slowCommands.push(`aiwgd ${args.join(' ')}: ${code} after ${Math.round(ms)} ms`);
        resolve({ code, stdout, stderr, ms });
      });
      // A command that ends without reading is no failure of ours.
      child.stdin.on('error', () => {});
      child.stdin.end(input);
    });
  }

  /** Mounts something that is unmounted when the project goes. */
  mount(args, folder) {
    execFileSync('mount', args);
    this.#mounts.unshift(folder);
  }

  #unmount() {
    for (const folder of this.#mounts.splice(0)) execFileSync('umount', ['--lazy', folder]);
  }

  /** What the newest attempt of a task printed, by its file; nothing where it never was launched. */
  outputFile({ id, attempt }) {
    const path = this.file(`actions/${id}/attempt-${attempt}/stdout.log`);
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  }

  /** The living daemon by its lock: pid and start time. */
  daemon() {
    try {
      const { pid, startTime } = JSON.parse(readFileSync(this.file('.lock'), 'utf8'));
      const daemon = { pid, ticks: Number(startTime) };
      return lives(daemon) ? daemon : undefined;
    } catch {
      // No lock, or one that is just being written.
      return undefined;
    }
  }

  /** A client that ends with `signal`; undefined where no daemon listens just now. */
  async connect(options = {}) {
    try {
      return await connect({ project: this.root, ...options });
    } catch (error) {
      if (error.code === 'DAEMON_NOT_RUNNING' || error.code === 'CONNECTION_LOST') return undefined;
      throw error;
    }
  }

  marked() {
    return markedProcesses(this.root);
  }

  /** Ends what runs, at once. Synchronous, for the end of this program. */
  end() {
    for (const pid of daemonsOf(this.root)) killNow(statOf(pid) ?? { pid, ticks: -1 });
    for (const one of this.marked()) killNow(one);
  }

  /** Ends what runs and leaves the folder for a look. */
  keep() {
    this.end();
    living.delete(this);
    if (this.#mounts.length > 0)
      cpSync(this.daemonFolder, join(this.base, 'daemon-folder'), { recursive: true });
    this.#unmount();
    return this.root;
  }

  async remove() {
    this.end();
    for (let wait = 0; wait < 100 && this.marked().length > 0; wait += 1) {
      await pause(20);
      this.end();
    }
    living.delete(this);
    this.clear();
  }

  /** Removes its folder, with what is mounted in it. */
  clear() {
    this.#unmount();
    rmSync(this.base, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** However the laboratory ends: nothing is left running, and no folder but those that are kept. */
export function removeAll() {
  for (const project of living) {
    project.end();
    project.clear();
  }
}
