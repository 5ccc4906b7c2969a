import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { findRunningDaemon } from '../../ipc/running-daemon.js';
import type { ProjectPaths } from '../../protocol/project-paths.js';
import type { Context } from '../context.js';
import { startDaemon } from '../lifecycle/start-daemon.js';
import { stopDaemon } from '../lifecycle/stop-daemon.js';
import { askToStop, configuredGraceMs, waitingReporter } from '../lifecycle/stop-request.js';
import { projectToBe } from '../project.js';
import { readProjectConfig } from '../read-project-config.js';

export async function run({ options, output, clock, onInterrupt }: Context): Promise<number | undefined> {
  const paths = projectToBe(options);
  const daemon = findRunningDaemon(paths);
  const named =
    options.config === undefined
      ? await configFileInForce(paths, daemon !== undefined)
      : resolve(options.config);
  // Before the stop: a configuration with errors must not leave the project without its daemon.
  const configFile = readProjectConfig({ args: named === undefined ? [] : [named], options }).file;
  if (daemon !== undefined) {
    await stopDaemon(daemon, clock, {
      request: () => askToStop(paths, clock, {}),
      graceMs: () => configuredGraceMs(paths),
      onWait: waitingReporter(output, paths, clock),
    });
    if (!output.json) output.line(`Daemon stopped (PID: ${daemon.pid})`);
  }
  const { pid, socket, warnings } = await startDaemon(paths, clock, {
    configFile: configFile === paths.config ? undefined : configFile,
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

/** The file that the running daemon was started with (`--config`), as its state says. */
async function configFileInForce(paths: ProjectPaths, running: boolean): Promise<string | undefined> {
  if (!running) return undefined;
  const state = JSON.parse(await readFile(paths.state, 'utf8')) as { config_file?: unknown };
  return typeof state.config_file === 'string' && state.config_file !== paths.config
    ? state.config_file
    : undefined;
}
