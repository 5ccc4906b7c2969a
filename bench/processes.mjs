// What /proc tells of processes. Linux only, as the bench is.
import { readdirSync, readFileSync } from 'node:fs';

const TICKS_PER_SECOND = 100;

function read(pid, file) {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return undefined;
  }
}

/** Resident memory in MB. */
export function residentMb(pid) {
  const kib = /^VmRSS:\s+(\d+)/m.exec(read(pid, 'status') ?? '')?.[1];
  if (kib === undefined) throw new Error(`process ${pid} is gone`);
  return (Number(kib) * 1024) / 1e6;
}

/** CPU time so far, of all its threads, in seconds. */
export function cpuSeconds(pid) {
  const stat = read(pid, 'stat');
  if (stat === undefined) throw new Error(`process ${pid} is gone`);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Living processes whose environment names this project, as those of all its agents do. */
export function agentProcesses(root) {
  const mark = `AIWG_PROJECT=${root}\0`;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && `${read(name, 'environ') ?? ''}\0`.includes(mark))
    .map(Number);
}

export function pause(ms) {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** Resolves when `condition` holds; throws when it does not within `ms`. */
export async function until(what, condition, ms = 60_000) {
  const deadline = performance.now() + ms;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited ${ms} ms in vain: ${what}`);
    await pause(5);
  }
}

/** Resident memory after so many seconds of rest. */
export async function settledMb(pid, seconds) {
  await pause(seconds * 1000);
  return residentMb(pid);
}

/** The most memory that `pid` held while `work` went on, looked at each 20 ms. */
export async function peakMb(pid, work) {
  let peak = residentMb(pid);
  const sampler = setInterval(() => {
    peak = Math.max(peak, residentMb(pid));
  }, 20);
  try {
    await work();
  } finally {
    clearInterval(sampler);
  }
  return peak;
}
