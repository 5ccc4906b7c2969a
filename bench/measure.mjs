// Measuring beside the limit, and the rows that come of it.
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Runs the measurements in turns, so that a busy machine slows all alike, and answers the median of each. The first
 * turn only warms up where `warmUp` is set.
 */
export async function inTurns(times, measurements, { warmUp = false } = {}) {
  const taken = Object.fromEntries(Object.keys(measurements).map((name) => [name, []]));
  for (let turn = warmUp ? -1 : 0; turn < times; turn += 1) {
    for (const [name, measure] of Object.entries(measurements)) {
      const value = await measure();
      if (turn >= 0) taken[name].push(value);
    }
  }
  return Object.fromEntries(Object.entries(taken).map(([name, values]) => [name, median(values)]));
}

export async function milliseconds(work) {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}

export async function perSecond(count, work) {
  return count / ((await milliseconds(work)) / 1000);
}

/** `count` calls of `call`, `window` of them under way at a time. */
export async function inParallel(count, window, call) {
  let begun = 0;
  const worker = async () => {
    while (begun < count) {
      begun += 1;
      await call(begun);
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, window) }, worker));
}

/** A row whose goal is a ratio of ours to the limit: `most` or `least`. */
export function ratioRow(name, { unit, limit, ours, most, least }) {
  const ratio = ours / limit;
  return {
    name,
    unit,
    limit,
    ours,
    ratio,
    goal: most === undefined ? `≥ ${least} ×` : `≤ ${most} ×`,
    met: most === undefined ? ratio >= least : ratio <= most,
  };
}

/** A row whose goal is a number by itself. */
export function boundRow(name, { unit, ours, most, limit = null, note }) {
  const goal = most === 0 ? '0' : `≤ ${most} ${unit}`;
  return { name, unit, limit, ours, ratio: null, goal, met: ours <= most, ...(note ? { note } : {}) };
}
