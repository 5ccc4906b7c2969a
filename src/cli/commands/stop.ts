import { findRunningDaemon } from '../../ipc/running-daemon.js';
import type { Clock } from '../../platform/clock.js';
import { AiwgdError, messageOf } from '../../protocol/errors.js';
import type { ProjectPaths } from '../../protocol/project-paths.js';
import type { Context } from '../context.js';
import { wentWithoutStop } from '../lifecycle/crashed.js';
import { stopDaemon } from '../lifecycle/stop-daemon.js';
import { askToStop, configuredGraceMs, waitingReporter } from '../lifecycle/stop-request.js';
import { plural } from '../output/format.js';
import { requireProject } from '../project.js';

async function endLeft(paths: ProjectPaths, clock: Clock): Promise<number> {
  if (!wentWithoutStop(paths)) return 0;
  const { endLeftAgents } = await import('../lifecycle/end-left-agents.js');
  return endLeftAgents(paths, clock);
}

function ended(agents: number): string {
  return agents === 0 ? '' : `; ended ${plural(agents, 'agent')} that it had left`;
}

export async function run(context: Context): Promise<number | undefined> {
  const { options, output, clock } = context;
  const paths = requireProject(options);
  const daemon = findRunningDaemon(paths);
  if (daemon === undefined) {
    const agentsEnded = await endLeft(paths, clock);
    if (output.json) output.document({ stopped: false, pid: null, agentsEnded });
    else output.line(`Daemon is not running${ended(agentsEnded)}`);
    return 0;
  }
  const { pid } = daemon;
  const graceMs = options.timeout;
  const outcome = await stopDaemon(daemon, clock, {
    force: options.force ?? false,
    graceMs,
    configuredGraceMs: () => configuredGraceMs(paths),
    onWait: waitingReporter(output, paths, clock),
    ...(graceMs === undefined ? {} : { request: () => askToStop(paths, clock, { graceMs }) }),
  });
  const killed = outcome === 'killed';
  const agentsEnded = killed ? await endAfterKill(paths, clock, pid) : 0;
  if (output.json) output.document({ stopped: true, pid, killed, agentsEnded });
  else output.line(`Daemon ${outcome} (PID: ${pid})${ended(agentsEnded)}`);
  return 0;
}

async function endAfterKill(paths: ProjectPaths, clock: Clock, pid: number): Promise<number> {
  try {
    return await endLeft(paths, clock);
  } catch (error) {
    throw new AiwgdError(
      error instanceof AiwgdError ? error.code : 'INTERNAL_ERROR',
      `Daemon killed (PID: ${pid}), but agents of it may still run: ${messageOf(error)} Try aiwgd stop again, or aiwgd start, which takes them over.`,
      { cause: error, data: { pid, killed: true } },
    );
  }
}
