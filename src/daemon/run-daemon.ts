import { existsSync, rmSync } from 'node:fs';
import { findRunningDaemon } from '../ipc/running-daemon.js';
import { alreadyRunning, isServed } from '../ipc/server-socket.js';
import { writeFileAtomic } from '../platform/atomic-file.js';
import { systemClock } from '../platform/clock.js';
import { writeFaultText } from '../platform/write-fault.js';
import { AiwgdError, messageOf } from '../protocol/errors.js';
import type { ProjectPaths } from '../protocol/project-paths.js';
import type { RunDaemonOptions } from '../protocol/start-report.js';
import { StoreThread } from '../tasks/sqlite/store-thread.js';
import type { Daemon } from './daemon.js';
import { prepareDirectories, removeTemporaries, resolveProject } from './directories.js';
import { closeInherited, keepInheritedFromAgents } from './inherited-files.js';
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
  // First of all: from the lock on, a signal must not end us with what we hold left behind.
  let daemon: Daemon | undefined;
  const stop = new StopRequest();
  if (options.endAgents !== undefined) stop.ask({ reason: 'end agents', ...options.endAgents });
  const releaseSignals = installSignals({
    stop: (signal, again) => stop.ask({ reason: signal, ...(again ? { graceMs: 0 } : {}) }),
    handOver: (signal) => stop.ask({ reason: signal, keepAgents: true }),
    reload: () => void daemon?.reload().catch(() => undefined),
  });
  releases.push('signals', releaseSignals);

  if (options.foreground) keepInheritedFromAgents();
  else closeInherited();

  const { paths, removeEmpty } = prepareDirectories(resolveProject(options.project));
  // The lock of a daemon in another container looks stale from here, its pid being none of ours; its socket answers.
  if ((await isServed(paths.socket)) && findRunningDaemon(paths) === undefined)
    throw alreadyRunning(paths.socket);
  const lock = acquireLock(paths);
  let agentsLeft = lock.inherited;
  releases.push('lock', () => {
    // The lock of a process that is gone: by it the commands know that agents may be at work without a daemon.
    if (!agentsLeft) lock.release();
  });
  // Only with the lock in hand: who loses a race leaves the folders, also those that it made, to the winner.
  releases.push('folders', () => {
    if (daemon === undefined) removeEmpty();
  });
  removeTemporaries(paths);
  releases.push('pid file', () => rmSync(paths.pid, { force: true }));
  writePid(paths);

  // Most of a start is loading programs: the store's thread loads its own beside ours.
  const thread = StoreThread.prepare(paths.database);
  releases.push('store thread', () => thread.close());

  if (process.pid === 1) releases.push('orphan reaper', reapOrphans(systemClock));

  const [{ loadConfig, loadToEndAgents }, { Daemon: TheDaemon }] = await Promise.all([
    import('./config-source.js'),
    import('./daemon.js'),
  ]);
  const configFile = options.configFile ?? paths.config;
  const loaded = options.endAgents
    ? loadToEndAgents(configFile)
    : loadConfig(configFile, { writeDefault: options.configFile === undefined });
  daemon = await TheDaemon.start({
    paths,
    configFile,
    loaded,
    foreground: options.foreground,
    automation: options.endAgents === undefined,
    clock: systemClock,
    stop,
    thread,
    keepFiles: () => {
      if (![paths.actions, paths.events].every((folder) => existsSync(folder)))
        prepareDirectories(paths.root);
      lock.restore();
      if (!existsSync(paths.pid)) writePid(paths);
    },
    onAgentsLeft: () => {
      agentsLeft = true;
    },
  });
  releases.push('daemon', () => daemon?.close());
  // It has taken them over.
  agentsLeft = false;

  const notifier = serviceNotifier({
    environment: process.env,
    clock: systemClock,
    onFault: (message) => daemon?.log.warn({}, message),
  });
  releases.push('service notifier', () => notifier.close());
  notifier.ready();
  const { socket, takenOver } = daemon;
  options.report({ ready: { pid: process.pid, socket, warnings: loaded.warnings, takenOver } });
  await stop.asked;
  notifier.stopping();
  await daemon.stop();
}

function writePid(paths: ProjectPaths): void {
  try {
    writeFileAtomic(paths.pid, `${process.pid}\n`, { mode: 0o644 });
  } catch (cause) {
    throw new AiwgdError('START_FAILED', `The daemon cannot start: ${writeFaultText(paths.pid, cause)}`, {
      cause,
    });
  }
}
