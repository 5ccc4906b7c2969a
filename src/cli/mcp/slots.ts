import { AiwgdError } from '../../protocol/errors.js';

/** Room for so many of something at the same time; whoever comes when it is full is refused, not kept. */
export class Slots {
  readonly #most: number;
  readonly #what: string;
  #taken = 0;

  constructor(most: number, what: string) {
    this.#most = most;
    this.#what = what;
  }

  get taken(): number {
    return this.#taken;
  }

  /** Runs `work` in a slot. OVERLOADED where none is free. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#taken === this.#most) {
      const text = `There are ${this.#most} ${this.#what} at the same time already. Try again when one has ended.`;
      throw new AiwgdError('OVERLOADED', text);
    }
    this.#taken += 1;
    try {
      return await work();
    } finally {
      this.#taken -= 1;
    }
  }
}
