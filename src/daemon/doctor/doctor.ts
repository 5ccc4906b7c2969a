import type { CheckResult, DoctorReport } from '../../protocol/doctor-report.js';
import { messageOf } from '../../protocol/errors.js';
import { checkAgents } from './agents-check.js';
import type { Check, DoctorContext } from './check.js';
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
