import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { findRunningDaemon, socketAddress } from '../ipc/running-daemon.js';
import { AiwgdError } from '../protocol/errors.js';
import type { ProjectPaths } from '../protocol/project-paths.js';

/**
 * A daemon in another container (another view of pids) looks dead by its lock, yet it is there when its socket answers.
 * Asked before the lock is judged, so that nothing of the living one is taken over.
 */
export async function refuseWhereOneAnswers(paths: ProjectPaths): Promise<void> {
  if (!existsSync(paths.lock) || findRunningDaemon(paths) !== undefined) return;
  if (await answers(paths)) {
    throw new AiwgdError(
      'ALREADY_RUNNING',
      `A daemon answers on ${paths.socket}, though its process cannot be seen from here (another container?).`,
    );
  }
}

function answers(paths: ProjectPaths): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPathOf(paths));
    socket.once('connect', () => finish(true)).once('error', () => finish(false));
    const finish = (alive: boolean): void => {
      socket.destroy();
      resolve(alive);
    };
  });
}

function socketPathOf(paths: ProjectPaths): string {
  try {
    return socketAddress(paths);
  } catch {
    // No pointer to the real socket: nobody listens.
    return paths.socket;
  }
}
