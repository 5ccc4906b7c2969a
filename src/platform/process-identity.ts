import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/**
 * Names one process for ever. A pid alone is reused after its process ended, and every pid is reused after a reboot,
 * so the start time and the id of the boot go with it.
 */
export interface ProcessIdentity {
  pid: number;
  /** As the system states it: clock ticks since boot on Linux, a date on macOS. Only compared for equality. */
  startTime: string;
  bootId: string;
}

let cachedBootId: string | undefined;

/** The id of this boot of the machine; constant while it is up. */
export function bootId(): string {
  cachedBootId ??=
    process.platform === 'linux'
      ? readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
      : execFileSync('sysctl', ['-n', 'kern.bootsessionuuid'], { encoding: 'utf8' }).trim();
  return cachedBootId;
}

/**
 * Whether reading about a process failed because there is no such process any more. Any other reason (no descriptor
 * left, no memory) says nothing about it: who takes that for its end loses it.
 */
export function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ESRCH';
}

/** Fields of /proc/<pid>/stat after the name, which may itself hold blanks and parentheses (proc(5)). */
function linuxStatFields(pid: number): string[] | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/**
 * The start time of a living process, or undefined when there is none; a zombie counts as gone. Throws where the system
 * cannot say.
 */
export function startTimeOf(pid: number): string | undefined {
  if (process.platform === 'linux') {
    const fields = linuxStatFields(pid);
    if (fields === undefined || fields[0] === 'Z' || fields[0] === 'X') return undefined;
    return fields[19];
  }
  try {
    const [state, ...started] = execFileSync('ps', ['-o', 'state=,lstart=', '-p', String(pid)], {
      encoding: 'utf8',
    })
      .trim()
      .split(/\s+/);
    return state?.startsWith('Z') ? undefined : started.join(' ');
  } catch (error) {
    // ps exits 1 for an unknown pid.
    if ((error as { status?: unknown }).status === 1) return undefined;
    throw error;
  }
}

/** Identity of a living process (this one where no pid is given), or undefined when there is no such process. */
export function identityOf(pid: number = process.pid): ProcessIdentity | undefined {
  const startTime = startTimeOf(pid);
  return startTime === undefined ? undefined : { pid, startTime, bootId: bootId() };
}

/** Whether exactly this process still lives. */
export function isAlive(identity: ProcessIdentity): boolean {
  return identity.bootId === bootId() && startTimeOf(identity.pid) === identity.startTime;
}
