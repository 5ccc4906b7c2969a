import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import { lockText, parseLock } from '../ipc/running-daemon.js';
import { writeAll } from '../platform/atomic-file.js';
import { LOCK_EX, libc } from '../platform/libc.js';
import { bootId, identityOf, isAlive, type ProcessIdentity } from '../platform/process-identity.js';
import { writeFaultText } from '../platform/write-fault.js';
import { AiwgdError, messageOf } from '../protocol/errors.js';
import type { ProjectPaths } from '../protocol/project-paths.js';

/** The right to be the one daemon of a project. */
export interface ProjectLock {
  readonly holder: ProcessIdentity;
  /** One before us, of this boot, has gone without giving it back: agents of it may be at work. */
  readonly inherited: boolean;
  /** Writes the lock again where somebody removed it. Throws START_FAILED when it can't be written. */
  restore(): void;
  /** Gives the right back; harmless when done twice. */
  release(): void;
}

/** How often a lock that was stale, then gone, then taken by another, is looked at again before we give up. */
const TRIES = 5;
const EMPTY_PATIENCE_MS = 2_000;
const EMPTY_POLL_MS = 10;

/**
 * Takes the project's lock. It is a file made with `wx`, so of many takers one wins. A lock whose process is gone
 * (kill -9, a reboot, a pid that now names another process) is removed first, under a kernel lock on the folder, so
 * that nobody removes the lock of a daemon that has just taken over.
 * Throws ALREADY_RUNNING naming the pid, or START_FAILED when the file can't be written.
 */
export function acquireLock(paths: ProjectPaths): ProjectLock {
  let inherited = false;
  for (let tries = 0; tries < TRIES; tries += 1) {
    const lock = create(paths);
    if (lock !== undefined) return { ...lock, inherited };
    const holder = readSettled(paths);
    if (holder === 'gone') continue;
    if (holder !== 'damaged' && isAlive(holder)) throw alreadyRunning(holder.pid);
    inherited ||= holder !== 'damaged' && holder.bootId === bootId();
    removeStale(paths);
  }
  throw new AiwgdError('START_FAILED', `Another process keeps changing ${paths.lock}; try again.`);
}

function alreadyRunning(pid: number): AiwgdError {
  return new AiwgdError('ALREADY_RUNNING', `Daemon is already running (PID: ${pid})`, { data: { pid } });
}

/** Undefined where there is a lock, or where somebody took ours for a damaged one. */
function create(paths: ProjectPaths): Omit<ProjectLock, 'inherited'> | undefined {
  const { lock: path } = paths;
  // Known before the file is made: between that and the write, the lock is empty.
  const holder = identityOf();
  if (holder === undefined)
    throw new AiwgdError('START_FAILED', 'This process cannot read its own start time, which its lock needs');
  let file: number;
  try {
    file = openSync(path, 'wx', 0o600);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return undefined;
    throw new AiwgdError('START_FAILED', `Cannot create the lock ${path}: ${messageOf(cause)}`, { cause });
  }
  try {
    writeAll(file, Buffer.from(lockText(holder, paths)));
  } catch (cause) {
    rmSync(path, { force: true });
    throw new AiwgdError('START_FAILED', `The daemon cannot start: ${writeFaultText(path, cause)}`, {
      cause,
    });
  } finally {
    closeSync(file);
  }
  if (!isOwn(paths, holder)) return undefined;
  return { holder, restore: () => void create(paths), release: () => releaseOwn(paths, holder) };
}

function isOwn(paths: ProjectPaths, own: ProcessIdentity): boolean {
  const found = read(paths);
  return typeof found === 'object' && found.pid === own.pid && found.startTime === own.startTime;
}

function releaseOwn(paths: ProjectPaths, own: ProcessIdentity): void {
  if (isOwn(paths, own)) rmSync(paths.lock, { force: true });
}

function read(paths: ProjectPaths): ProcessIdentity | 'gone' | 'empty' | 'damaged' {
  try {
    const text = readFileSync(paths.lock, 'utf8');
    return text === '' ? 'empty' : (parseLock(text, paths) ?? 'damaged');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'gone';
    throw new AiwgdError('START_FAILED', `Cannot read the lock ${paths.lock}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/**
 * Between its creation and the write that follows at once, a lock is empty: only when it stays so for long is its maker
 * dead, and not just held up on a busy machine.
 */
function readSettled(paths: ProjectPaths): ProcessIdentity | 'gone' | 'damaged' {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let waited = 0; waited < EMPTY_PATIENCE_MS; waited += EMPTY_POLL_MS) {
    const found = read(paths);
    if (found !== 'empty') return found;
    Atomics.wait(pause, 0, 0, EMPTY_POLL_MS);
  }
  return 'damaged';
}

function removeStale(paths: ProjectPaths): void {
  const folder = openSync(paths.daemon, 'r');
  try {
    libc().flock(folder, LOCK_EX);
    // Not one that its maker is only about to fill in: that would make two owners.
    const found = readSettled(paths);
    if (found === 'damaged' || (found !== 'gone' && !isAlive(found))) rmSync(paths.lock, { force: true });
  } finally {
    closeSync(folder);
  }
}
