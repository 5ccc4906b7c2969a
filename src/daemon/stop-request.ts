export interface StopAsked {
  /** A signal's name or `rpc`. */
  reason: string;
  /** How long agents may take; the configured grace where not given. */
  graceMs?: number;
}

/** The wish that the daemon stops. The first is final; later ones can only shorten the patience. */
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
      this.#first = { ...this.#first, graceMs: asked.graceMs };
      this.#onHurry?.(asked.graceMs);
    }
  }

  /** Called with the new patience when a later wish shortens it. */
  onHurry(listener: (graceMs: number) => void): void {
    this.#onHurry = listener;
  }
}
