import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { isCopiedFile } from '../platform/copied-file.js';
import { isAlive, type ProcessIdentity } from '../platform/process-identity.js';
import { AiwgdError, messageOf } from '../protocol/errors.js';
import { type ProjectPaths, projectPaths } from '../protocol/project-paths.js';

/** Longest path that a socket address holds on every platform (104 bytes with the closing NUL on macOS). */
export const MAX_SOCKET_PATH_BYTES = 103;

/** What the lock of a project says: which process is its daemon, and which project it is. */
export function lockText(daemon: ProcessIdentity, { root }: ProjectPaths): string {
  return `${JSON.stringify({ ...daemon, project: root })}\n`;
}

/**
 * The identity in the text of a project's lock; undefined for one that says nothing of this project: it is damaged,
 * written by another program, or came with a copy of the folder and speaks of the daemon of the first.
 */
export function parseLock(text: string, { lock }: ProjectPaths): ProcessIdentity | undefined {
  try {
    const { pid, startTime, bootId, project } = JSON.parse(text) as Partial<
      ProcessIdentity & { project: string }
    >;
    if (!Number.isInteger(pid) || typeof startTime !== 'string' || typeof bootId !== 'string')
      return undefined;
    if (typeof project === 'string' && isCopiedFile(lock, projectPaths(project).lock, text)) return undefined;
    return { pid: pid as number, startTime, bootId };
  } catch {
    return undefined;
  }
}

/**
 * The living daemon of a project, judged by its lock (pid, start time and boot id), never by a pid file alone.
 * Undefined where none lives.
 */
export function findRunningDaemon(paths: ProjectPaths): ProcessIdentity | undefined {
  let text: string;
  try {
    text = readFileSync(paths.lock, 'utf8');
  } catch (error) {
    if (
      (error as NodeJS.ErrnoException).code === 'ENOENT' ||
      (error as NodeJS.ErrnoException).code === 'ENOTDIR'
    ) {
      return undefined;
    }
    const whose =
      (error as NodeJS.ErrnoException).code === 'EACCES'
        ? ' Only the user that owns the daemon gets in.'
        : '';
    throw new AiwgdError(
      'INTERNAL_ERROR',
      `Cannot read the lock ${paths.lock}: ${messageOf(error)}.${whose}`,
      {
        cause: error,
      },
    );
  }
  const identity = parseLock(text, paths);
  return identity !== undefined && isAlive(identity) ? identity : undefined;
}

/** The address to connect to; follows the pointer where the project's path is too long for a socket. */
export function socketAddress(paths: ProjectPaths): string {
  if (Buffer.byteLength(paths.socket) <= MAX_SOCKET_PATH_BYTES) return paths.socket;
  const target = pointerTarget(paths.socket);
  if (target !== undefined) return target;
  throw new AiwgdError(
    'DAEMON_NOT_RUNNING',
    `No daemon is running for ${paths.root}. Start it with: aiwgd start`,
  );
}

/** The file name of the socket that serves an address that is too long for one. */
export function shortName(address: string): string {
  return `${createHash('sha256').update(address).digest('hex').slice(0, 16)}.sock`;
}

/** What the pointer at `address` names; undefined where there is none, or one that came with a copy of the folder. */
export function pointerTarget(address: string): string | undefined {
  try {
    const target = readlinkSync(address);
    return basename(target) === shortName(address) ? target : undefined;
  } catch {
    // Absent, or not a link: the caller tells these apart where it matters.
    return undefined;
  }
}
