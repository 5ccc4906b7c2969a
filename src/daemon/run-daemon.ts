import { rmSync } from 'node:fs';
import { refuseListener } from '../ipc/server-socket.js';
import { writeFileAtomic } from '../platform/atomic-file.js';
import { systemClock } from '../platform/clock.js';
import { AiwgdError, messageOf } from '../protocol/errors.js';
import type { RunDaemonOptions } from '../protocol/start-report.js';
import { loadConfig } from './config-source.js';
import { Daemon } from './daemon.js';
import { prepareDirectories, resolveProject } from './directories.js';
import { acquireLock } from './lock.js';
import { reapOrphans } from './orphan-reaper.js';
import { ReleaseStack } from './release-stack.js';
import { serviceNotifier } from './sd-notify.js';
import { installSignals } from './signals.js';
import { StopRequest } from './stop-request.js';

/**
 * Runs the daemon of a project in this process until it is asked to stop. Resolves to the exit code: 0 after a stop;
 * after a failed start the code of its error, with nothing left behind. It never rejects.
 */
export async function runDaemon(options: RunDaemonOptions): Promise<number> {
  const releases = new ReleaseStack();
  try {
    await run(options, releases);
    return 0;
  } catch (error) {
    // Before the report: whoever waits for it finds nothing left, and can start again at once.
    await releases.releaseAll(undefined);
    const known = error instanceof AiwgdError ? error : undefined;
    options.report({
      error: {
        code: known?.code ?? 'START_FAILED',
        message: known?.message ?? `The daemon could not start: ${messageOf(error)}`,
        ...(known?.data === undefined ? {} : { data: known.data }),
      },
    });
    return known?.exitCode ?? 1;
  } finally {
    await releases.releaseAll(undefined);
  }
}

async function run(options: RunDaemonOptions, releases: ReleaseStack): Promise<void> {
  const { paths, removeEmpty } = prepareDirectories(resolveProject(options.project));
  releases.push('folders', () => {
    if (daemon === undefined) removeEmpty();
  });
  let daemon: Daemon | undefined;
  const lock = acquireLock(paths);
  releases.push('lock', () => lock.release());
  // Somebody may have removed the lock of a living daemon: its files and its agents are not ours then.
  await refuseListener(paths.socket);
  writeFileAtomic(paths.pid, `${process.pid}\n`, { mode: 0o644 });
  releases.push('pid file', () => rmSync(paths.pid, { force: true }));

  const stop = new StopRequest();
  const releaseSignals = installSignals({
    stop: (signal, again) => stop.ask({ reason: signal, ...(again ? { graceMs: 0 } : {}) }),
    reload: () => void daemon?.reload().catch(() => undefined),
  });
  releases.push('signals', releaseSignals);
  if (process.pid === 1) releases.push('orphan reaper', reapOrphans(systemClock));

  const configFile = options.configFile ?? paths.config;
  const loaded = loadConfig(configFile, { writeDefault: options.configFile === undefined });
  daemon = await Daemon.start({
    paths,
    configFile,
    loaded,
    foreground: options.foreground,
    clock: systemClock,
    stop,
    keepLock: () => lock.restore(),
  });
  releases.push('daemon', () => daemon?.close());

  const notifier = serviceNotifier({
    environment: process.env,
    clock: systemClock,
    onFault: (message) => daemon?.log.warn({}, message),
  });
  releases.push('service notifier', () => notifier.close());
  notifier.ready();
  options.report({ ready: { pid: process.pid, socket: daemon.socket, warnings: loaded.warnings } });
  await stop.asked;
  notifier.stopping();
  await daemon.stop();
}
