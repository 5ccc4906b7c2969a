import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { ATTEMPT_MARK, PROJECT_MARK, TASK_MARK } from './attempt-marks.js';
import { isGone } from './process-identity.js';

/** One living process, as a single look at the machine saw it. */
export interface ProcessEntry {
  pid: number;
  ppid: number;
  /** As `ProcessIdentity.startTime`. */
  startTime: string;
}

/** The marks in a process's environment; undefined for a process without them, or whose environment is not ours to read. */
export interface ProcessMarks {
  attemptId: string;
  project: string | undefined;
  taskId: string | undefined;
}

/** Ids of all processes, zombies included. Linux only. */
export function linuxPids(): number[] {
  const pids: number[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (Number.isInteger(pid)) pids.push(pid);
  }
  return pids;
}

/** Every living process; zombies are left out. Throws where the system cannot say. */
export function listProcesses(): ProcessEntry[] {
  return process.platform === 'linux' ? linuxProcesses() : psProcesses();
}

function linuxProcesses(): ProcessEntry[] {
  const entries: ProcessEntry[] = [];
  for (const pid of linuxPids()) {
    let stat: string;
    try {
      stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    } catch (error) {
      // It ended since the directory was read.
      if (isGone(error)) continue;
      throw error;
    }
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, ppid] = fields;
    const startTime = fields[19];
    if (state === 'Z' || state === 'X' || startTime === undefined) continue;
    entries.push({ pid, ppid: Number(ppid), startTime });
  }
  return entries;
}

/** The process group of a living process; undefined where there is no such process. */
export function processGroupOf(pid: number): number | undefined {
  try {
    if (process.platform !== 'linux')
      return Number(execFileSync('ps', ['-o', 'pgid=', '-p', String(pid)], { encoding: 'utf8' }));
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]);
  } catch (error) {
    if (isGone(error) || (error as { status?: unknown }).status === 1) return undefined;
    throw error;
  }
}

function psProcesses(): ProcessEntry[] {
  const text = execFileSync('ps', ['-axo', 'pid=,ppid=,state=,lstart='], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  return text.split('\n').flatMap((line) => {
    const [pid, ppid, state, ...started] = line.trim().split(/\s+/);
    if (pid === undefined || pid === '' || state?.startsWith('Z')) return [];
    return [{ pid: Number(pid), ppid: Number(ppid), startTime: started.join(' ') }];
  });
}

const ENVIRON_CHUNK = 256 * 1024;
const buffer = Buffer.allocUnsafe(ENVIRON_CHUNK);

/** What a look at an environment found: its marks, none, or nothing at all (`empty`: a kernel thread, or a process that is being made). */
export function readMarks(pid: number): ProcessMarks | 'none' | 'empty' {
  let file: number;
  try {
    file = openSync(`/proc/${pid}/environ`, 'r');
  } catch (error) {
    return noMarks(error);
  }
  let length: number;
  try {
    length = readSync(file, buffer, 0, ENVIRON_CHUNK, 0);
  } catch (error) {
    return noMarks(error);
  } finally {
    closeSync(file);
  }
  if (length === 0) return 'empty';
  const environ = buffer.subarray(0, length);
  const attemptId = valueOf(environ, ATTEMPT_MARK);
  if (attemptId === undefined) return 'none';
  return { attemptId, project: valueOf(environ, PROJECT_MARK), taskId: valueOf(environ, TASK_MARK) };
}

/** Gone, or of another user, whom we could not signal either; for any other reason nothing is known. */
function noMarks(error: unknown): 'none' {
  const { code } = error as NodeJS.ErrnoException;
  if (isGone(error) || code === 'EACCES' || code === 'EPERM') return 'none';
  throw error;
}

function valueOf(environ: Buffer, name: string): string | undefined {
  let start = environ.indexOf(`\0${name}=`);
  if (start >= 0) start += 1;
  else if (environ.subarray(0, name.length + 1).toString('latin1') === `${name}=`) start = 0;
  else return undefined;
  const end = environ.indexOf(0, start);
  return environ.toString('utf8', start + name.length + 1, end < 0 ? environ.length : end);
}
