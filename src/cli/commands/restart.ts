import { resolve } from 'node:path';
import { findRunningDaemon } from '../../ipc/running-daemon.js';
import { AiwgdError } from '../../protocol/errors.js';
import type { ProjectPaths } from '../../protocol/project-paths.js';
import type { Context } from '../context.js';
import { configFileInForce } from '../lifecycle/config-in-force.js';
import { handOver } from '../lifecycle/hand-over.js';
import { mayHaveLeftAgents } from '../lifecycle/left-agents.js';
import { requireRoom } from '../lifecycle/require-room.js';
import { startDaemon } from '../lifecycle/start-daemon.js';
import { askToStop } from '../lifecycle/stop-request.js';
import { projectToBe } from '../project.js';
import { readProjectConfig } from '../read-project-config.js';
import { takenOverLines } from '../views/taken-over.js';

export async function run({ options, output, clock, onInterrupt }: Context): Promise<number | undefined> {
  const paths = projectToBe(options);
  const daemon = findRunningDaemon(paths);
  const inForce = daemon === undefined ? undefined : configFileInForce(paths);
  const named = options.config === undefined ? inForce : resolve(options.config);
  // Before the stop: a configuration with errors must not leave the project without its daemon.
  const configFile = readProjectConfig({ args: named === undefined ? [] : [named], options }).file;
  if (daemon !== undefined) {
    requireRoom(paths);
    await handOver(daemon, clock, () => askToStop(paths, clock, { keepAgents: true, pid: daemon.pid }));
  }
  const started = await startDaemon(paths, clock, {
    configFile: configFile === paths.config ? undefined : configFile,
    onSpawn: (child) => onInterrupt(() => void child.kill('SIGUSR2')),
  }).catch((error: unknown) => notStarted(paths, error));
  const { pid, socket, warnings, takenOver } = started;
  const previousPid = daemon?.pid ?? null;
  if (output.json) output.document({ pid, previousPid, project: paths.root, socket, warnings, takenOver });
  else {
    output.line(`Daemon ${daemon === undefined ? 'started' : 'restarted'} (PID: ${pid})`);
    for (const line of takenOverLines(takenOver)) output.line(line);
  }
  for (const warning of warnings) output.problem(`aiwgd: warning: ${warning}`);
  return 0;
}

/** The old daemon has gone, and there is no new one: whoever reads why must know what of it is left. */
function notStarted(paths: ProjectPaths, error: unknown): never {
  // Somebody else was faster, and has taken over what was left.
  const another = findRunningDaemon(paths) !== undefined;
  if (!(error instanceof AiwgdError) || another || !mayHaveLeftAgents(paths)) throw error;
  const { code, message, data } = error;
  throw new AiwgdError(
    code,
    `${message} No daemon runs now, but agents that the one before left may be at work: aiwgd start takes them over, aiwgd stop ends them.`,
    { cause: error, data },
  );
}
