import { dialSocket, Link } from '../ipc/link.js';
import { socketAddress } from '../ipc/running-daemon.js';
import { systemClock } from '../platform/clock.js';
import type { MethodName, ParamsOf, ResultOf } from '../protocol/method-types.js';
import type { Context } from './context.js';
import { requireProject } from './project.js';
import { withDeadline } from './with-deadline.js';

/** A daemon that is frozen must not freeze its users; a cancel, the slowest call, waits for the end of a process tree. */
export const ANSWER_LIMIT_MS = 60_000;

/**
 * Asks the daemon of the project in `root` one thing. It is the client's connection without the rest of the client,
 * whose loading a command with a single question would pay for. DAEMON_NOT_RUNNING where there is none.
 */
export async function askDaemon<M extends MethodName>(
  paths: Parameters<typeof socketAddress>[0],
  method: M,
  params: ParamsOf<M>,
  signal?: AbortSignal,
): Promise<ResultOf<M>> {
  const link = new Link(
    await dialSocket({ address: socketAddress(paths), project: paths.root }, systemClock, signal),
  );
  try {
    return (await link.call(method, params, signal)) as ResultOf<M>;
  } finally {
    link.close();
  }
}

/** Asks the daemon of the project that a command works on one thing. */
export async function callDaemon<M extends MethodName>(
  context: Context,
  method: M,
  params: ParamsOf<M>,
): Promise<ResultOf<M>> {
  const paths = requireProject(context.options);
  return withDeadline(context.clock, ANSWER_LIMIT_MS, (signal) => askDaemon(paths, method, params, signal));
}
