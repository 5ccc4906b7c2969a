import { AiwgdError, messageOf } from '../../protocol/errors.js';

/** Why an action could not be done. */
export class ActionFailure extends Error {
  override readonly name = 'ActionFailure';
  /** Whether another try may go better: never where it would cost another run of an agent. */
  readonly retryable: boolean;
  /** How long to wait for it at least. */
  readonly afterMs: number;

  constructor(
    message: string,
    {
      retryable = false,
      afterMs = 0,
      cause,
    }: { retryable?: boolean; afterMs?: number; cause?: unknown } = {},
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.retryable = retryable;
    this.afterMs = afterMs;
  }
}

/** The run is over without having failed: somebody said no, or took it back. */
export class RunEnded extends Error {
  override readonly name = 'RunEnded';
  readonly state: 'cancelled' | 'rejected';

  constructor(state: 'cancelled' | 'rejected', reason: string) {
    super(reason);
    this.state = state;
  }
}

/** Anything thrown by an action; what nobody foresaw may be over at the next try, but what was refused is refused again. */
export function failureOf(error: unknown): ActionFailure {
  if (error instanceof ActionFailure) return error;
  const refused = error instanceof AiwgdError && error.code === 'INVALID_PARAMS';
  return new ActionFailure(messageOf(error), { retryable: !refused, cause: error });
}
