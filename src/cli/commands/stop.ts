import { findRunningDaemon } from '../../ipc/running-daemon.js';
import type { Context } from '../context.js';
import { stopDaemon } from '../lifecycle/stop-daemon.js';
import { askToStop, configuredGraceMs, waitingReporter } from '../lifecycle/stop-request.js';
import { requireProject } from '../project.js';

export async function run(context: Context): Promise<number | undefined> {
  const { options, output, clock } = context;
  const paths = requireProject(options);
  const daemon = findRunningDaemon(paths);
  if (daemon === undefined) {
    if (output.json) output.document({ stopped: false, pid: null });
    else output.line('Daemon is not running');
    return 0;
  }
  const graceMs = options.timeout;
  const outcome = await stopDaemon(daemon, clock, {
    force: options.force ?? false,
    graceMs: async () => graceMs ?? configuredGraceMs(paths),
    onWait: waitingReporter(output, paths, clock),
    ...(graceMs === undefined ? {} : { request: () => askToStop(paths, clock, { graceMs }) }),
  });
  if (output.json) output.document({ stopped: true, pid: daemon.pid, killed: outcome === 'killed' });
  else if (outcome === 'stopped') output.line(`Daemon stopped (PID: ${daemon.pid})`);
  else output.line(`Daemon killed (PID: ${daemon.pid}); the next start ends what it left running`);
  return 0;
}
