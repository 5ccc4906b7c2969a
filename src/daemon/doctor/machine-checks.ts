import { statSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { findProgram } from '../../agents/launcher.js';
import type { CheckResult, DoctorContext } from './check.js';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const FAILED_BELOW = 100 * MIB;
const WARNED_BELOW = GIB;
const WARNED_BELOW_SHARE = 0.05;

/** Whether there is room for the queue, the log and the output of agents. */
export async function checkDisk({ paths }: DoctorContext): Promise<CheckResult[]> {
  const { bavail, blocks, bsize } = await statfs(paths.daemon);
  return [judgeDisk({ free: bavail * bsize, total: blocks * bsize })];
}

/** Both in bytes. */
export function judgeDisk({ free, total }: { free: number; total: number }): CheckResult {
  const name = 'disk';
  const share = total === 0 ? 0 : free / total;
  const detail = `${sizeText(free)} free of ${sizeText(total)}`;
  const remedy = 'Make room; `retention` in the configuration bounds what the daemon keeps';
  if (free < FAILED_BELOW) return { name, status: 'failed', detail, remedy };
  if (free < WARNED_BELOW || share < WARNED_BELOW_SHARE) return { name, status: 'warning', detail, remedy };
  return { name, status: 'ok', detail };
}

function sizeText(bytes: number): string {
  return bytes >= GIB ? `${(bytes / GIB).toFixed(1)} GiB` : `${Math.floor(bytes / MIB)} MiB`;
}

/** Whether tmux is there. */
export function checkTmux({ paths, environment }: DoctorContext): CheckResult[] {
  const name = 'tmux';
  const env = { PATH: environment['PATH'] ?? '' };
  try {
    const detail = findProgram({ program: name, args: [], env, cwd: paths.root, projectRoot: paths.root });
    return [{ name, status: 'ok', detail }];
  } catch {
    const detail = 'not found on PATH; only the views in tmux need it';
    return [{ name, status: 'warning', detail, remedy: 'Install it where you want them' }];
  }
}

const FIRST_YEAR = 2026;
/** Disks and clocks round. */
const SLACK_MS = 5_000;

/** Whether the clock can be right: schedules, retention and replay windows go by it. */
export function checkClock({ clock, paths }: DoctorContext): CheckResult[] {
  const name = 'clock';
  const now = clock.now();
  const remedy = 'Correct the clock of the machine; timedatectl shows whether it is kept in time';
  const stamp = new Date(now).toISOString();
  if (new Date(now).getUTCFullYear() < FIRST_YEAR) {
    return [{ name, status: 'failed', detail: `it says ${stamp}`, remedy }];
  }
  for (const path of [paths.state, paths.heartbeat, paths.log]) {
    const written = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (written <= now + SLACK_MS) continue;
    const detail = `it says ${stamp}, but ${path} was written at ${new Date(written).toISOString()}: it has gone backwards`;
    return [{ name, status: 'warning', detail, remedy }];
  }
  return [{ name, status: 'ok', detail: stamp }];
}

/** The same as `engines` in package.json. */
const LEAST_NODE = [20, 19] as const;

/** Whether this is a version of Node that the daemon is made for. */
export function checkNode(): CheckResult[] {
  return [judgeNode(process.versions.node)];
}

export function judgeNode(version: string): CheckResult {
  const name = 'node';
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [leastMajor, leastMinor] = LEAST_NODE;
  if (major > leastMajor || (major === leastMajor && minor >= leastMinor)) {
    return { name, status: 'ok', detail: version };
  }
  const remedy = `Install Node ${LEAST_NODE.join('.')} or newer, then: aiwgd restart`;
  return { name, status: 'failed', detail: `${version} is too old`, remedy };
}
