import type { Clock } from '../../platform/clock.js';
import { identityOf, type ProcessIdentity } from '../../platform/process-identity.js';
import { AiwgdError } from '../../protocol/errors.js';
import type { ProjectPaths } from '../../protocol/project-paths.js';
import { configFileInForce } from './config-in-force.js';
import { waitUntilGone } from './daemon-process.js';
import { startDaemon } from './start-daemon.js';

/** What ending them may take after SIGKILL, and closing. */
const END_LIMIT_MS = 30_000;

/**
 * Takes over what a daemon that went without a stop left running, and ends it; its tasks are queued again. Resolves to
 * the number of tasks that ran, when all of it has ended. Throws what a start throws, or TIMED_OUT.
 */
export async function endLeftAgents(paths: ProjectPaths, clock: Clock): Promise<number> {
  let ending: ProcessIdentity | undefined;
  const { takenOver } = await startDaemon(paths, clock, {
    configFile: configFileInForce(paths),
    endAgents: true,
    onSpawn: ({ pid }) => {
      ending = pid === undefined ? undefined : identityOf(pid);
    },
  });
  if (ending === undefined || (await waitUntilGone(ending, END_LIMIT_MS, clock))) return takenOver;
  throw new AiwgdError(
    'TIMED_OUT',
    `What the daemon left running has not ended after ${END_LIMIT_MS / 1_000} s. See aiwgd logs.`,
  );
}
