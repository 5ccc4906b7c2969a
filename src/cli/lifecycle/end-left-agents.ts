import type { Clock } from '../../platform/clock.js';
import { identityOf, type ProcessIdentity } from '../../platform/process-identity.js';
import type { ProjectPaths } from '../../protocol/project-paths.js';
import { configFileInForce } from './config-in-force.js';
import { startDaemon } from './start-daemon.js';
import { type Patience, waitUntilStopped } from './stop-daemon.js';

/**
 * Takes over what a daemon that has gone left running, and ends it as a stop does; its tasks are queued again. Resolves
 * to the number of tasks that ran, when all of it has ended. Throws what a start throws, or TIMED_OUT.
 */
export async function endLeftAgents(paths: ProjectPaths, clock: Clock, patience: Patience): Promise<number> {
  let ending: ProcessIdentity | undefined;
  const { takenOver } = await startDaemon(paths, clock, {
    configFile: configFileInForce(paths),
    endAgents: { graceMs: patience.graceMs },
    onSpawn: ({ pid }) => {
      ending = pid === undefined ? undefined : identityOf(pid);
    },
  });
  if (ending !== undefined) await waitUntilStopped(ending, clock, patience);
  return takenOver;
}
