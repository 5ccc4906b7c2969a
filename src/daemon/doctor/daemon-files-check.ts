import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { parseLock, socketAddress } from '../../ipc/running-daemon.js';
import type { Clock } from '../../platform/clock.js';
import { isAlive } from '../../platform/process-identity.js';
import { messageOf } from '../../protocol/errors.js';
import type { ProjectPaths } from '../../protocol/project-paths.js';
import type { CheckResult, DoctorContext } from './check.js';

const CONNECT_MS = 2_000;
/** The daemon writes its files anew at each heartbeat. */
const HEALS = 'It is written anew within a minute; if it is not: aiwgd restart';

/** Whether lock, pid file and socket lead to this daemon. */
export async function checkDaemonFiles({ paths, clock }: DoctorContext): Promise<CheckResult[]> {
  return [lockResult(paths), pidResult(paths), await socketResult(paths, clock)];
}

function lockResult(paths: ProjectPaths): CheckResult {
  const name = 'lock';
  const text = contentOf(paths.lock);
  const holder = text === undefined ? undefined : parseLock(text, paths);
  if (text === undefined || holder === undefined) {
    const detail = `${paths.lock} is ${text === undefined ? 'missing' : 'damaged'}`;
    return { name, status: 'failed', detail, remedy: HEALS };
  }
  if (holder.pid === process.pid && isAlive(holder)) {
    return { name, status: 'ok', detail: `held by this daemon (PID ${holder.pid})` };
  }
  const detail = `${paths.lock} names process ${holder.pid}, and this daemon is process ${process.pid}`;
  return { name, status: 'failed', detail, remedy: 'Two daemons may be at work: aiwgd restart' };
}

function pidResult(paths: ProjectPaths): CheckResult {
  const name = 'pid file';
  const text = contentOf(paths.pid)?.trim();
  if (text === String(process.pid)) return { name, status: 'ok', detail: `${paths.pid} names this daemon` };
  const detail = text === undefined ? `${paths.pid} is missing` : `${paths.pid} does not name this daemon`;
  return { name, status: 'failed', detail, remedy: HEALS };
}

async function socketResult(paths: ProjectPaths, clock: Clock): Promise<CheckResult> {
  const name = 'socket';
  try {
    const address = socketAddress(paths);
    await tryConnect(address, clock);
    return { name, status: 'ok', detail: `${address} answers` };
  } catch (error) {
    const detail = `nobody can connect to ${paths.socket}: ${messageOf(error)}`;
    return { name, status: 'failed', detail, remedy: HEALS };
  }
}

function tryConnect(address: string, clock: Clock): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(address);
    const finish = (error?: Error): void => {
      timer.cancel();
      socket.destroy();
      if (error === undefined) resolve();
      else reject(error);
    };
    const timer = clock.setTimer(CONNECT_MS, () => finish(new Error(`no answer within ${CONNECT_MS} ms`)));
    socket.once('connect', () => finish());
    socket.once('error', finish);
  });
}

/** Undefined where there is no such file. Throws for any other reason. */
function contentOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
