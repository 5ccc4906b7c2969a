import { spawn } from 'node:child_process';
import { type DetachedSpawn, type Libc, libc } from './libc.js';

/** Our detached children that live, and whom to tell of their end. */
const children = new Map<number, () => void>();

/**
 * Starts a process that leads its own session and outlives this one. `onExit` is called once when it has ended, if this
 * process still lives. Answers the pid. Throws the system's error, with its `code`.
 */
export function spawnDetached(request: DetachedSpawn, onExit: () => void): number {
  // C would end the text there, and the rest would be lost.
  if ([...request.argv, ...request.env, request.cwd].some((text) => text.includes('\0'))) {
    throw Object.assign(new Error('an argument holds a NUL'), { code: 'ERR_INVALID_ARG_VALUE' });
  }
  const native = posixSpawn();
  if (native === undefined) return forkDetached(request, onExit);
  // Listened for before there is anything to hear: the child may end before we are back.
  if (children.size === 0) process.on('SIGCHLD', collect);
  try {
    const pid = native(request);
    children.set(pid, onExit);
    return pid;
  } finally {
    if (children.size === 0) process.off('SIGCHLD', collect);
  }
}

/** Undefined where this platform lacks it: Node's own spawn serves there, only slower. */
function posixSpawn(): Libc['spawnDetached'] | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    return libc().spawnDetached;
  } catch {
    // No native part for this processor or C library.
    return undefined;
  }
}

/** Node waits for its own children only; one signal may stand for several ends. */
function collect(): void {
  for (const [pid, onExit] of children) {
    if (libc().reap(pid) === 0) continue;
    children.delete(pid);
    if (children.size === 0) process.off('SIGCHLD', collect);
    onExit();
  }
}

function forkDetached(request: DetachedSpawn, onExit: () => void): number {
  const env = Object.fromEntries(
    request.env.map((entry) => {
      const end = entry.indexOf('=');
      return [entry.slice(0, end), entry.slice(end + 1)];
    }),
  );
  const [argv0 = request.program, ...args] = request.argv;
  const child = spawn(request.program, args, {
    argv0,
    env,
    cwd: request.cwd,
    detached: true,
    stdio: [...request.files],
  });
  if (child.pid === undefined) {
    // Its reason comes as an event, after us. A program and folder that were looked at before leave a shortage.
    child.once('error', () => undefined);
    throw Object.assign(new Error(`${request.program} cannot be spawned`), { code: 'EAGAIN' });
  }
  child.once('exit', onExit);
  child.unref();
  return child.pid;
}
