import { type Dial, dialSocket } from '../../ipc/link.js';
import { socketAddress } from '../../ipc/running-daemon.js';
import type { Clock } from '../../platform/clock.js';
import { AiwgdError } from '../../protocol/errors.js';
import type { MethodName, ParamsOf, ResultOf } from '../../protocol/method-types.js';
import type { ProjectPaths } from '../../protocol/project-paths.js';
import { ANSWER_LIMIT_MS, askDaemon } from '../call-daemon.js';
import { withDeadline } from '../with-deadline.js';
import type { Scope } from './scope.js';
import { Slots } from './slots.js';

/** Calls that wait for the end of a task at the same time: fewer than all calls, so that others find room. */
const MOST_WAITS = 16;

export interface DaemonCallsOptions {
  paths: ProjectPaths;
  scope: Scope;
  clock: Clock;
  /** What the server's own work is caused by: the task whose agent it serves, where the environment names one. */
  cause: { cause?: string };
  /** Aborted when the client has gone: nothing is waited for any more. */
  leaving: AbortSignal;
}

/**
 * The daemon as the tools see it: within the scope, and over a connection for each call, so that it may be down when the
 * server starts, and be restarted at any time.
 */
export class DaemonCalls {
  readonly paths: ProjectPaths;
  readonly clock: Clock;
  readonly cause: { cause?: string };
  readonly leaving: AbortSignal;
  readonly waits = new Slots(MOST_WAITS, 'waits for tasks');
  readonly #scope: Scope;

  constructor({ paths, scope, clock, cause, leaving }: DaemonCallsOptions) {
    this.paths = paths;
    this.clock = clock;
    this.cause = cause;
    this.leaving = leaving;
    this.#scope = scope;
  }

  allows(method: MethodName): boolean {
    return this.#scope.allows(method);
  }

  /**
   * Asks the daemon one thing. NOT_ALLOWED outside of the scope; DAEMON_NOT_RUNNING, TIMED_OUT after a minute,
   * CONNECTION_LOST and the daemon's own errors.
   */
  async call<M extends MethodName>(
    method: M,
    params: ParamsOf<M>,
    signal: AbortSignal,
  ): Promise<ResultOf<M>> {
    this.#scope.require(method);
    return withDeadline(this.clock, ANSWER_LIMIT_MS, (late) =>
      askDaemon(this.paths, method, params, AbortSignal.any([late, signal])),
    );
  }

  /** Whether it is for the daemon to come back: the same call may go well in a moment. */
  static isAway(error: unknown): boolean {
    const codes = ['DAEMON_NOT_RUNNING', 'CONNECTION_LOST', 'DAEMON_STOPPING'];
    return error instanceof AiwgdError && codes.includes(error.code);
  }

  /** Opens a connection. The place is looked up each time: a daemon that was restarted may listen elsewhere. */
  readonly dial: Dial = async (signal) =>
    dialSocket({ address: socketAddress(this.paths), project: this.paths.root }, this.clock, signal);
}
