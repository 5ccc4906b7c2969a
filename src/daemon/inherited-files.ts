import { closeSync, readdirSync, readFileSync } from 'node:fs';
import { libc } from '../platform/libc.js';
import { START_REPORT_FD } from '../protocol/start-report.js';

const CLOSED_ON_EXEC = 0o2000000;

/**
 * Open files beyond the first ones that whoever started this process has left in it, such as the lock of a script's
 * `exec 200>lock; flock 200`. Linux only: elsewhere Node hands none on.
 */
function inheritedFiles(): number[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc/self/fd')
    .map(Number)
    .filter((file) => file > START_REPORT_FD && isInheritable(file));
}

/** Node opens all of its own files so that they are closed on exec. */
function isInheritable(file: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/mu.exec(readFileSync(`/proc/self/fdinfo/${file}`, 'latin1'))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & CLOSED_ON_EXEC) === 0;
  } catch {
    // Closed by now: it was the one by which the folder was read.
    return false;
  }
}

/** Closes what is not ours, so that nobody waits for a lock or the end of a pipe as long as the daemon lives. */
export function closeInherited(): void {
  for (const file of inheritedFiles()) closeSync(file);
}

/** The same for the agents alone, which outlive us: in the foreground, whoever started us may count on what we hold. */
export function keepInheritedFromAgents(): void {
  for (const file of inheritedFiles()) libc().closeOnExec(file);
}
