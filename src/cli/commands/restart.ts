import { resolve } from 'node:path';
import { findRunningDaemon } from '../../ipc/running-daemon.js';
import type { Context } from '../context.js';
import { startDaemon } from '../lifecycle/start-daemon.js';
import { stopDaemon } from '../lifecycle/stop-daemon.js';
import { askToStop, configuredGraceMs, waitingReporter } from '../lifecycle/stop-request.js';
import { projectToBe } from '../project.js';

export async function run({ options, output, clock, onInterrupt }: Context): Promise<number | undefined> {
  const paths = projectToBe(options);
  const daemon = findRunningDaemon(paths);
  if (daemon !== undefined) {
    await stopDaemon(daemon, clock, {
      request: () => askToStop(paths, clock, {}),
      graceMs: () => configuredGraceMs(paths),
      onWait: waitingReporter(output, paths, clock),
    });
    if (!output.json) output.line(`Daemon stopped (PID: ${daemon.pid})`);
  }
  const { pid, socket, warnings } = await startDaemon(paths, clock, {
    configFile: options.config === undefined ? undefined : resolve(options.config),
    onSpawn: (child) => onInterrupt(() => void child.kill('SIGTERM')),
  });
  if (output.json) {
    output.document({ pid, previousPid: daemon?.pid ?? null, project: paths.root, socket, warnings });
  } else {
    output.line(`Daemon started (PID: ${pid})`);
  }
  for (const warning of warnings) output.problem(`aiwgd: warning: ${warning}`);
  return 0;
}
