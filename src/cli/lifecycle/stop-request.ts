import type { Clock } from '../../platform/clock.js';
import { AiwgdError } from '../../protocol/errors.js';
import type { ParamsOf } from '../../protocol/method-types.js';
import type { ProjectPaths } from '../../protocol/project-paths.js';
import { plural } from '../output/format.js';
import type { Output } from '../output/output.js';
import { withDeadline } from '../with-deadline.js';
import { DEFAULT_GRACE_MS } from './stop-daemon.js';

const REQUEST_LIMIT_MS = 3_000;

/**
 * Asks the daemon of that process id over its socket to stop; whoever has taken its place is left alone. False where it does not answer: then a signal has to do.
 * Throws INVALID_PARAMS.
 */
export async function askToStop(
  paths: ProjectPaths,
  clock: Clock,
  params: ParamsOf<'daemon.stop'> & { pid: number },
): Promise<boolean> {
  const { askDaemon } = await import('../call-daemon.js');
  try {
    await withDeadline(clock, REQUEST_LIMIT_MS, (signal) => askDaemon(paths, 'daemon.stop', params, signal));
    return true;
  } catch (error) {
    // It heard us, and said no: a signal would be something else than was wanted.
    if (error instanceof AiwgdError && error.code === 'INVALID_PARAMS') throw error;
    // Another one answers: the one that was meant has gone.
    if (error instanceof AiwgdError && error.code === 'CONFLICT') return true;
    // Deaf or half dead: the caller sends the signal that says the same.
    return false;
  }
}

/** `daemon.stop_grace_seconds` of the project; the default where its file cannot be read. */
export async function configuredGraceMs(paths: ProjectPaths): Promise<number> {
  const { parseConfig, readConfigFile } = await import('../../protocol/config/read-config.js');
  try {
    const parsed = parseConfig(readConfigFile(paths.config) ?? '{}', paths.config);
    return parsed.ok ? parsed.config.daemon.stop_grace_seconds * 1_000 : DEFAULT_GRACE_MS;
  } catch {
    // It only says how long to be patient, and the daemon that runs has read the file at another time.
    return DEFAULT_GRACE_MS;
  }
}

/** Says on a terminal for how many agents a stop waits. */
export function waitingReporter(output: Output, paths: ProjectPaths, clock: Clock): () => void {
  let busy = false;
  const report = async (): Promise<void> => {
    const { askDaemon } = await import('../call-daemon.js');
    const { running } = await withDeadline(clock, REQUEST_LIMIT_MS, (signal) =>
      askDaemon(paths, 'task.stats', {}, signal),
    );
    if (running > 0) output.problem(`waiting for ${plural(running, 'agent')} …`);
  };
  return () => {
    if (busy || !output.terminal) return;
    busy = true;
    report()
      // Only a courtesy: a daemon on its way out may not answer any more.
      .catch(() => undefined)
      .finally(() => {
        busy = false;
      });
  };
}
