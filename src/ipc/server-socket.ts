import {
  chmodSync,
  lstatSync,
  mkdirSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  symlinkSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { AiwgdError, messageOf } from '../protocol/errors.js';
import { MAX_SOCKET_PATH_BYTES, pointerTarget, shortName } from './running-daemon.js';

/** Where a server listens. */
export interface ServerSocket {
  /** The real socket. */
  path: string;
  /** The symbolic link that names it, where the wanted path is too long for a socket. */
  pointer: string | undefined;
}

/**
 * Makes everything ready for listening at `address`: folders that only we can enter, no stale socket in the way.
 * Throws ALREADY_RUNNING when somebody listens there, START_FAILED when the place cannot be used.
 */
export async function prepareSocket(address: string): Promise<ServerSocket> {
  makePrivateFolder(dirname(address), statSync);
  if (Buffer.byteLength(address) <= MAX_SOCKET_PATH_BYTES) {
    await clearAway(address);
    return { path: address, pointer: undefined };
  }
  const path = shortPath(address);
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    throw unusable(path, 'the path is too long for a socket; set XDG_RUNTIME_DIR to a short folder');
  }
  // A folder for temporary files is open to everybody: here even a link of ours would be suspicious.
  makePrivateFolder(dirname(path), lstatSync);
  await clearAwayPointer(address);
  await clearAway(path);
  return { path, pointer: address };
}

/** Whether somebody listens at `address`, directly or by its pointer. START_FAILED when that cannot be told. */
export async function isServed(address: string): Promise<boolean> {
  const path = Buffer.byteLength(address) <= MAX_SOCKET_PATH_BYTES ? address : pointerTarget(address);
  if (path === undefined || statSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return false;
  return isListening(path);
}

/** Lets `pointer` name the socket. It is replaced in one step: a client finds the old or the new one. */
export function writePointer({ path, pointer }: ServerSocket): void {
  if (pointer === undefined) return;
  // Always the same name, so that a kill in between leaves one at most.
  const temporary = `${pointer}.tmp`;
  rmSync(temporary, { force: true });
  symlinkSync(path, temporary);
  renameSync(temporary, pointer);
}

/** Removes the socket, and the pointer where it is still ours. */
export function removeSocket({ path, pointer }: ServerSocket): void {
  rmSync(path, { force: true });
  if (pointer !== undefined && pointerTarget(pointer) === path) rmSync(pointer, { force: true });
}

function shortPath(address: string): string {
  const { XDG_RUNTIME_DIR: runtime } = process.env;
  const base = runtime === undefined || runtime === '' ? tmpdir() : runtime;
  return join(base, `aiwgd-${userId()}`, shortName(address));
}

function makePrivateFolder(folder: string, stat: (path: string) => Stats): void {
  try {
    mkdirSync(dirname(folder), { recursive: true });
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw unusable(folder, messageOf(error), error);
  }
  const stats = stat(folder);
  if (!stats.isDirectory()) throw unusable(folder, 'it is not a folder; move it away');
  if (stats.uid !== userId()) {
    throw unusable(folder, `it belongs to another user (uid ${stats.uid}); start the daemon as that user`);
  }
  if ((stats.mode & 0o777) !== 0o700) chmodSync(folder, 0o700);
}

async function clearAwayPointer(pointer: string): Promise<void> {
  const target = pointerTarget(pointer);
  if (target === undefined) {
    const stats = lstatSync(pointer, { throwIfNoEntry: false });
    if (stats !== undefined && !stats.isSymbolicLink()) {
      throw unusable(pointer, 'a file that is no link to a socket lies there; move it away');
    }
  } else if (await isListening(target)) {
    throw alreadyRunning(target);
  }
}

async function clearAway(path: string): Promise<void> {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  // A pointer may be left from when the project lay at a longer path.
  if (!stats.isSocket() && !stats.isSymbolicLink()) {
    throw unusable(path, 'a file that is no socket lies there; move it away');
  }
  if (await isListening(path)) throw alreadyRunning(path);
  rmSync(path, { force: true });
}

/** Whether somebody listens at a path; a socket that refuses is what a killed daemon left. */
function isListening(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = connect(path);
    probe.on('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false);
      // So many wait to be accepted that there is no room for another: somebody is there.
      else if (error.code === 'EAGAIN') resolve(true);
      else reject(unusable(path, error.message, error));
    });
  });
}

function userId(): number {
  return process.getuid?.() ?? 0;
}

export function alreadyRunning(path: string): AiwgdError {
  return new AiwgdError('ALREADY_RUNNING', `A daemon already listens at ${path}. Stop it with: aiwgd stop`);
}

function unusable(path: string, reason: string, cause?: unknown): AiwgdError {
  return new AiwgdError('START_FAILED', `The socket cannot be made at ${path}: ${reason}`, { cause });
}
