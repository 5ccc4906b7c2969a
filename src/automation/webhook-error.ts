/** A webhook that was not delivered, and whether trying again could help. Names neither secrets nor queries. */
export class WebhookError extends Error {
  override readonly name = 'WebhookError';
  readonly retryable: boolean;
  /** When the receiver wants to be tried again, in milliseconds from now; null where it did not say. */
  readonly retryAfterMs: number | null;

  constructor(
    message: string,
    {
      retryable,
      retryAfterMs = null,
      cause,
    }: { retryable: boolean; retryAfterMs?: number | null; cause?: unknown },
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.retryable = retryable;
    this.retryAfterMs = retryAfterMs;
  }
}
