import { messageOf } from '../../protocol/errors.js';
import { checkAgents } from './agents-check.js';
import type { Check, CheckResult, DoctorContext } from './check.js';
import { checkConfig } from './config-check.js';
import { checkDaemonFiles } from './daemon-files-check.js';
import { checkInotify } from './inotify-check.js';
import { checkClock, checkDisk, checkNode, checkTmux } from './machine-checks.js';
import { checkVariables } from './variables-check.js';

/** By the name under which a check is told of that could not even be made. */
const CHECKS: Readonly<Record<string, Check>> = {
  configuration: checkConfig,
  'files of the daemon': checkDaemonFiles,
  agents: checkAgents,
  variables: checkVariables,
  disk: checkDisk,
  'watched folders': checkInotify,
  tmux: checkTmux,
  clock: checkClock,
  node: checkNode,
};

export interface DoctorReport {
  checks: CheckResult[];
  /** Whether nothing has failed; there may be warnings. */
  ok: boolean;
}

/**
 * Looks at everything that the daemon stands on, from within the daemon. A check that breaks is one that failed. Takes
 * a few seconds at most for each agent program, else much less. Throws only the reason of an aborted `signal`.
 */
export async function runDoctor(context: DoctorContext): Promise<DoctorReport> {
  const checks: CheckResult[] = [];
  for (const [name, check] of Object.entries(CHECKS)) {
    context.signal?.throwIfAborted();
    try {
      checks.push(...(await check(context)));
    } catch (error) {
      checks.push({ name, status: 'failed', detail: `the check could not be made: ${messageOf(error)}` });
    }
  }
  context.signal?.throwIfAborted();
  return { checks, ok: checks.every(({ status }) => status !== 'failed') };
}

/** The report for a person: a line for each check, and one for what to do about it. */
export function doctorLines({ checks }: DoctorReport): string[] {
  const width = Math.max(0, ...checks.map(({ name }) => name.length));
  const lines = checks.flatMap(({ name, status, detail, remedy }) => [
    `${status.padEnd('warning'.length)}  ${name.padEnd(width)}  ${detail}`,
    ...(remedy === undefined ? [] : [`${' '.repeat('warning'.length + width + 4)}${remedy}`]),
  ]);
  return [...lines, '', conclusion(checks)];
}

function conclusion(checks: readonly CheckResult[]): string {
  const failed = checks.filter(({ status }) => status === 'failed').length;
  const warnings = checks.filter(({ status }) => status === 'warning').length;
  if (failed + warnings === 0) return 'All is well.';
  return `${failed} failed, ${warnings} ${warnings === 1 ? 'warning' : 'warnings'}.`;
}
