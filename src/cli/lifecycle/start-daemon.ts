import { type ChildProcess, spawn } from 'node:child_process';
import {
  closeSync,
  constants,
  ftruncateSync,
  openSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { findRunningDaemon } from '../../ipc/running-daemon.js';
import { ATTEMPT_MARK, PROJECT_MARK, TASK_MARK } from '../../platform/attempt-marks.js';
import type { Clock } from '../../platform/clock.js';
import { makeFolder } from '../../platform/make-folder.js';
import { AiwgdError, ERROR_CATALOGUE, messageOf } from '../../protocol/errors.js';
import type { ProjectPaths } from '../../protocol/project-paths.js';
import { type ReadyReport, START_REPORT_FD, type StartReport } from '../../protocol/start-report.js';

/** Longest report that is read; a list of warnings or configuration errors fits many times over. */
const MAX_REPORT_BYTES = 65_536;
const START_LIMIT_MS = 60_000;
/** How much of what a dying daemon wrote is shown. */
const LAST_WORDS_BYTES = 2_048;

/**
 * The daemon waits most of its life: it is to hold little memory. A young generation of at most 2 MB a half (Node's own
 * is 16) keeps it small while agents print gigabytes of lines to parse (+7 instead of +28 MB); its threads share two
 * arenas of the C library. Agents do not inherit the variable: theirs is an allow-list.
 */
const SMALL_HEAP = ['--max-semi-space-size=2'];
const FEW_ARENAS = { MALLOC_ARENA_MAX: '2' };

export interface StartOptions {
  configFile?: string | undefined;
  /** The daemon ends what an earlier one left running, and then itself. */
  endAgents?: { graceMs?: number | undefined };
  /** The program to run; the daemon's own where not given. */
  entry?: string;
  /** How long the daemon may take, in milliseconds. */
  limitMs?: number;
  /** Told the process as soon as there is one, so that an interrupt can end it. */
  onSpawn?: (child: ChildProcess) => void;
}

export function alreadyRunning(pid: number): AiwgdError {
  return new AiwgdError('ALREADY_RUNNING', `Daemon is already running (PID: ${pid})`, { data: { pid } });
}

/**
 * Starts a detached daemon and waits until it answers on its socket. Of concurrent calls, also from other processes,
 * one wins. Throws ALREADY_RUNNING, or what the daemon said about why it cannot start; a failed start leaves
 * nothing behind but the folders that were there.
 */
export async function startDaemon(
  paths: ProjectPaths,
  clock: Clock,
  options: StartOptions = {},
): Promise<ReadyReport> {
  const running = findRunningDaemon(paths);
  if (running !== undefined) throw alreadyRunning(running.pid);
  const hadFolder = statSync(paths.aiwg, { throwIfNoEntry: false }) !== undefined;
  const stderrFile = openStderr(paths);
  try {
    ftruncateSync(stderrFile);
    const report = await reportOf(spawnDaemon(paths, stderrFile, options), paths, clock, options);
    if ('ready' in report) return report.ready;
    const { code, message, data } = report.error;
    throw new AiwgdError(code in ERROR_CATALOGUE ? code : 'START_FAILED', message, { data });
  } catch (error) {
    // The loser of a race leaves everything to the winner.
    if (findRunningDaemon(paths) === undefined) removeTraces(paths, hadFolder);
    throw error;
  } finally {
    closeSync(stderrFile);
  }
}

/** The file for the daemon's last words, in the folder that is made for it. */
function openStderr(paths: ProjectPaths): number {
  const { O_WRONLY, O_CREAT, O_APPEND } = constants;
  try {
    makeFolder(paths.aiwg, 0o755);
    makeFolder(paths.daemon, 0o700);
    // Appending, so that a second start that empties the file cannot leave a hole in what the first one writes.
    return openSync(paths.stderr, O_WRONLY | O_CREAT | O_APPEND, 0o600);
  } catch (cause) {
    throw new AiwgdError(
      'START_FAILED',
      `Cannot write in ${paths.daemon}: ${messageOf(cause)}. The daemon needs to.`,
      { cause },
    );
  }
}

function spawnDaemon(paths: ProjectPaths, stderrFile: number, options: StartOptions): ChildProcess {
  const entry = options.entry ?? fileURLToPath(new URL('../../daemon/main.js', import.meta.url));
  const config = options.configFile === undefined ? [] : ['--config', options.configFile];
  const args = [...SMALL_HEAP, entry, '--project', paths.root, ...config, ...endingArguments(options)];
  const child = spawn(process.execPath, args, {
    cwd: paths.root,
    env: { ...withoutMarks(process.env), ...FEW_ARENAS },
    detached: true,
    stdio: ['ignore', stderrFile, stderrFile, 'pipe'],
  });
  options.onSpawn?.(child);
  return child;
}

function endingArguments({ endAgents }: StartOptions): string[] {
  if (endAgents === undefined) return [];
  const { graceMs } = endAgents;
  return ['--end-agents', ...(graceMs === undefined ? [] : ['--grace-ms', String(graceMs)])];
}

/** A daemon that an agent starts is nobody's attempt: with the agent's marks it would be ended with it. */
function withoutMarks(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const marks = [TASK_MARK, ATTEMPT_MARK, PROJECT_MARK, 'AIWG_EVENT_FILE'];
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !marks.includes(name)));
}

/** Waits for the report, the end of the child, or the limit, whichever is first. */
async function reportOf(
  child: ChildProcess,
  paths: ProjectPaths,
  clock: Clock,
  options: StartOptions,
): Promise<StartReport> {
  const channel = child.stdio[START_REPORT_FD] as Readable;
  const limitMs = options.limitMs ?? START_LIMIT_MS;
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`The daemon could not be run: ${error.message}`));
    child.once('exit', (code, signal) =>
      resolve(
        signal === null
          ? `The daemon ended with exit code ${code} before it was ready.`
          : `The daemon was ended by ${signal} before it was ready.`,
      ),
    );
  });
  let timedOut = false;
  const limit = clock.setTimer(limitMs, () => {
    timedOut = true;
    child.kill('SIGKILL');
  });
  try {
    const line = await firstLine(channel);
    if (line !== undefined) {
      const report = JSON.parse(line) as StartReport;
      // While it ends it still holds its lock: whose traces are left can be told only afterwards.
      if ('error' in report) await ended;
      return report;
    }
    const ending = await ended;
    const reason = timedOut ? `The daemon was not ready after ${limitMs / 1_000} s and was ended.` : ending;
    throw new AiwgdError('START_FAILED', `${reason}${lastWords(paths)}`);
  } finally {
    limit.cancel();
    channel.destroy();
    child.unref();
  }
}

/** The first line of a stream; undefined where it ends before one, or where the line is too long to be a report. */
async function firstLine(stream: Readable): Promise<string | undefined> {
  let bytes = Buffer.alloc(0);
  try {
    for await (const chunk of stream) {
      bytes = Buffer.concat([bytes, chunk as Buffer]);
      const end = bytes.indexOf(0x0a);
      if (end >= 0) return bytes.toString('utf8', 0, end);
      if (bytes.length > MAX_REPORT_BYTES) return undefined;
    }
  } catch {
    // A child that is killed resets the channel: its end is reported by its exit.
  }
  return undefined;
}

function lastWords(paths: ProjectPaths): string {
  const text = readFileSync(paths.stderr, 'utf8').slice(-LAST_WORDS_BYTES).trim();
  return text === '' ? ' It wrote nothing to stderr.' : ` Its last words:\n${text}`;
}

/** Takes back what only this start has made. Folders go only when they are empty. */
function removeTraces(paths: ProjectPaths, hadFolder: boolean): void {
  rmSync(paths.stderr, { force: true });
  if (hadFolder) return;
  for (const folder of [paths.daemon, paths.aiwg]) {
    try {
      rmdirSync(folder);
    } catch {
      // Not empty: something in it is worth keeping.
      return;
    }
  }
}
