export interface StopAsked {
  /** A signal's name or `rpc`. */
  reason: string;
  /** How long agents may take; the configured grace where not given. */
  graceMs?: number;
  /** Hand over: agents that run are left to the next daemon. */
  keepAgents?: boolean;
}

/**
 * The wish that the daemon ends. The first is final, also in whether agents are ended or kept; later ones can only
 * shorten the patience.
 */
export class StopRequest {
  readonly asked: Promise<void>;
  #resolve: () => void = () => {};
  #first: StopAsked | undefined;
  #onHurry: ((graceMs: number) => void) | undefined;

  constructor() {
    this.asked = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** The wish as it stands; undefined while nobody has one. */
  get pending(): StopAsked | undefined {
    return this.#first;
  }

  ask(asked: StopAsked): void {
    if (this.#first === undefined) {
      this.#first = asked;
      this.#resolve();
      return;
    }
    if (asked.graceMs !== undefined) {
      const { graceMs = asked.graceMs } = this.#first;
      this.#first = { ...this.#first, graceMs: Math.min(graceMs, asked.graceMs) };
      this.#onHurry?.(asked.graceMs);
    }
  }

  /** Called with the patience of a later wish, counted from then; it may be longer than what is left. */
  onHurry(listener: (graceMs: number) => void): void {
    this.#onHurry = listener;
  }
}
