import { findRunningDaemon } from '../../ipc/running-daemon.js';
import { AiwgdError, messageOf } from '../../protocol/errors.js';
import type { ProjectPaths } from '../../protocol/project-paths.js';
import type { Context } from '../context.js';
import { mayHaveLeftAgents } from '../lifecycle/left-agents.js';
import { type Patience, stopDaemon } from '../lifecycle/stop-daemon.js';
import { askToStop, configuredGraceMs, waitingReporter } from '../lifecycle/stop-request.js';
import { plural } from '../output/format.js';
import { requireProject } from '../project.js';

function ended(agents: number): string {
  return agents === 0 ? '' : `; ended ${plural(agents, 'agent')} that it had left`;
}

export async function run(context: Context): Promise<number | undefined> {
  const { options, output, clock } = context;
  const { force = false, timeout: graceMs } = options;
  const paths = requireProject(options);
  const patience: Patience = {
    graceMs,
    configuredGraceMs: () => configuredGraceMs(paths),
    onWait: waitingReporter(output, paths, clock),
  };
  const endLeft = async (): Promise<number> => {
    if (!mayHaveLeftAgents(paths)) return 0;
    const { endLeftAgents } = await import('../lifecycle/end-left-agents.js');
    return endLeftAgents(paths, clock, force ? { ...patience, graceMs: 0 } : patience);
  };
  const daemon = findRunningDaemon(paths);
  if (daemon === undefined) {
    const agentsEnded = await endLeft();
    if (output.json) output.document({ stopped: false, pid: null, agentsEnded });
    else output.line(`Daemon is not running${ended(agentsEnded)}`);
    return 0;
  }
  const { pid } = daemon;
  const outcome = await stopDaemon(daemon, clock, {
    ...patience,
    force,
    ...(graceMs === undefined ? {} : { request: () => askToStop(paths, clock, { graceMs, pid }) }),
  });
  const killed = outcome === 'killed';
  // Also where somebody else killed it meanwhile, or had told it to leave them; but not those of the next one.
  const last = findRunningDaemon(paths) === undefined;
  const agentsEnded = last ? await endLeft().catch((error: unknown) => notEnded(paths, pid, error)) : 0;
  if (output.json) output.document({ stopped: true, pid, killed, agentsEnded });
  else output.line(`Daemon ${outcome} (PID: ${pid})${ended(agentsEnded)}`);
  return 0;
}

function notEnded({ root }: ProjectPaths, pid: number, error: unknown): never {
  throw new AiwgdError(
    error instanceof AiwgdError ? error.code : 'INTERNAL_ERROR',
    `The daemon (PID: ${pid}) is gone, but agents of it may still be at work in ${root}: ${messageOf(error)} To end them: aiwgd stop; to take them over: aiwgd start.`,
    { cause: error, data: { pid, killed: true } },
  );
}
