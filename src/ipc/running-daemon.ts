import { readFileSync, readlinkSync } from 'node:fs';
import { isAlive, type ProcessIdentity } from '../platform/process-identity.js';
import { AiwgdError, messageOf } from '../protocol/errors.js';
import type { ProjectPaths } from '../protocol/project-paths.js';

/** Longest path that a socket address holds on every platform (104 bytes with the closing NUL on macOS). */
export const MAX_SOCKET_PATH_BYTES = 103;

/** The identity in a lock file; undefined for text that is none (damaged, or written by another program). */
export function parseLock(text: string): ProcessIdentity | undefined {
  try {
    const { pid, startTime, bootId } = JSON.parse(text) as Partial<ProcessIdentity>;
    if (!Number.isInteger(pid) || typeof startTime !== 'string' || typeof bootId !== 'string')
      return undefined;
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
  const identity = parseLock(text);
  return identity !== undefined && isAlive(identity) ? identity : undefined;
}

/** The address to connect to; follows the pointer where the project's path is too long for a socket. */
export function socketAddress(paths: ProjectPaths): string {
  if (Buffer.byteLength(paths.socket) <= MAX_SOCKET_PATH_BYTES) return paths.socket;
  try {
    return readlinkSync(paths.socket);
  } catch (cause) {
    throw new AiwgdError(
      'DAEMON_NOT_RUNNING',
      `No daemon is running for ${paths.root}. Start it with: aiwgd start`,
      {
        cause,
      },
    );
  }
}
