// Random numbers that a seed gives again.

/** From 0 to 1 (mulberry32), with the draws that scripts need. The same seed gives the same draws in the same order. */
export class Random {
  #state;

  constructor(seed) {
    this.#state = seed >>> 0;
  }

  next() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    const state = this.#state;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** A whole number from `least` to `most`, both included. */
  whole(least, most) {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  chance(probability) {
    return this.next() < probability;
  }

  pick(values) {
    return values[this.whole(0, values.length - 1)];
  }

  /** One of the keys, by the weights that are their values. */
  weighted(weights) {
    const entries = Object.entries(weights);
    let left = this.next() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [name, weight] of entries) {
      left -= weight;
      if (left < 0) return name;
    }
    return entries.at(-1)[0];
  }
}

/** The seed of one round, so that a round can be repeated without those before it. */
export function seedOf(seed, round) {
  return new Random((seed ^ Math.imul(round + 1, 0x9e3779b1)) >>> 0).whole(0, 2 ** 32 - 1);
}
