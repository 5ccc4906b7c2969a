// What /proc tells of processes. Linux only, as the laboratory is.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

const TICKS_PER_SECOND = 100;

function read(pid, file) {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    // It is gone.
    return undefined;
  }
}

/** Start time in ticks, parent and name of a living process; undefined where there is none, or only its zombie. */
export function statOf(pid) {
  const text = read(pid, 'stat');
  if (text === undefined) return undefined;
  const end = text.lastIndexOf(')');
  const fields = text.slice(end + 2).split(' ');
  if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
  return {
    pid,
    ticks: Number(fields[19]),
    parent: Number(fields[1]),
    name: text.slice(text.indexOf('(') + 1, end),
  };
}

export function lives({ pid, ticks }) {
  return statOf(pid)?.ticks === ticks;
}

/** The variables of a process by which the daemon marks what belongs to an attempt. */
export function marksOf(pid) {
  const marks = {};
  for (const entry of (read(pid, 'environ') ?? '').split('\0')) {
    const [, name, value] = /^AIWG_(PROJECT|TASK_ID|ATTEMPT_ID)=(.*)$/s.exec(entry) ?? [];
    if (name !== undefined) marks[name] = value;
  }
  return { project: marks.PROJECT, taskId: marks.TASK_ID, attemptId: marks.ATTEMPT_ID };
}

/** Living processes that carry the mark of this project. */
export function markedProcesses(root) {
  return pids().flatMap((pid) => {
    const marks = marksOf(pid);
    const stat = marks.project === root ? statOf(pid) : undefined;
    return stat === undefined ? [] : [{ ...stat, ...marks }];
  });
}

/** Daemons of this project, whatever its files say. */
export function daemonsOf(root) {
  return pids().filter((pid) => {
    const args = (read(pid, 'cmdline') ?? '').split('\0');
    return args.some((arg) => arg.endsWith('/daemon/main.js')) && args.includes(root);
  });
}

/** How many files a process has open. */
export function openFiles(pid) {
  return readdirSync(`/proc/${pid}/fd`).filter((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`) !== '';
    } catch {
      return false;
    }
  }).length;
}

function pids() {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** Seconds since boot, by the clock that the journal and the start times of processes use. */
export function uptime() {
  return Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
}

/** Looks at the processes of a project again and again; the environments of older processes are read only once. */
export class ProcessView {
  #root;
  #known = new Map();

  constructor(root) {
    this.#root = root;
  }

  look() {
    const now = uptime();
    const known = new Map();
    const marked = [];
    for (const pid of pids()) {
      const stat = statOf(pid);
      if (stat === undefined) continue;
      const before = this.#known.get(pid);
      const marks = before?.ticks === stat.ticks ? before.marks : marksOf(pid);
      // Between fork and exec a young process still shows the environment of its parent.
      if (now - stat.ticks / TICKS_PER_SECOND > 1) known.set(pid, { ticks: stat.ticks, marks });
      if (marks.project === this.#root) marked.push({ ...stat, ...marks });
    }
    this.#known = known;
    return marked;
  }
}

/** Ends exactly this process, if it still lives; answers whether it did. */
export function killNow({ pid, ticks }) {
  if (statOf(pid)?.ticks !== ticks) return false;
  try {
    process.kill(pid, 'SIGKILL');
    return true;
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
    return false;
  }
}

export function pause(ms) {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** Resolves to whether `condition` came to hold within `ms`. */
export async function comesTrue(condition, ms) {
  const deadline = performance.now() + ms;
  while (!(await condition())) {
    if (performance.now() > deadline) return false;
    await pause(10);
  }
  return true;
}
