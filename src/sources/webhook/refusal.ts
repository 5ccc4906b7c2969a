/** A request that is not taken: what the sender is told. The text never says anything that helps to guess. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }

  /** Come again after `ms` milliseconds. */
  static later(status: 429 | 503, message: string, ms: number): Refusal {
    return new Refusal(status, message, { 'Retry-After': String(Math.max(1, Math.ceil(ms / 1_000))) });
  }
}

/** The sender hung up before its request was complete: there is nobody to answer. */
export class SenderGone extends Error {
  override readonly name = 'SenderGone';
}
