/** The seed of a test with random moments: `AIWGD_SEED`, or another one at each run. The test prints it. */
export function seedOf(): number {
  return Number(process.env['AIWGD_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
}

/** A small generator of numbers in [0, 1), the same for the same seed. */
export function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
