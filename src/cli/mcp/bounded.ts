/** Nothing honest is nested deeper; what is, would overflow whoever walks it. */
const DEEPEST = 32;

/** The text, or its first `most` characters and how many there were. */
export function cutText(text: string, most: number): string {
  if (text.length <= most) return text;
  // Not in the middle of a pair of surrogates.
  const end = most > 0 && isHighSurrogate(text.charCodeAt(most - 1)) ? most - 1 : most;
  return `${text.slice(0, end)}… [${end} of ${text.length} characters]`;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

/**
 * A JSON value with some `most` characters in its texts and keys at most. What is left out is counted where it stood:
 * as the last entry of a list, as the key `…` of an object, at the end of a text.
 */
export function boundedValue(value: unknown, most: number): unknown {
  return bounded(value, { left: most }, 0);
}

interface Budget {
  left: number;
}

function bounded(value: unknown, budget: Budget, depth: number): unknown {
  if (typeof value === 'string') {
    const text = cutText(value, Math.max(0, budget.left));
    budget.left -= text.length;
    return text;
  }
  // A number, or the punctuation of what follows.
  budget.left -= 8;
  if (typeof value !== 'object' || value === null) return value;
  if (depth === DEEPEST) return '…';
  return Array.isArray(value) ? boundedList(value, budget, depth) : boundedObject(value, budget, depth);
}

function boundedList(list: readonly unknown[], budget: Budget, depth: number): unknown[] {
  const kept: unknown[] = [];
  for (const entry of list) {
    if (budget.left <= 0) return [...kept, `… [${kept.length} of ${list.length} entries]`];
    kept.push(bounded(entry, budget, depth + 1));
  }
  return kept;
}

function boundedObject(object: object, budget: Budget, depth: number): Record<string, unknown> {
  const entries = Object.entries(object);
  const kept: [string, unknown][] = [];
  for (const [key, entry] of entries) {
    if (budget.left <= 0) {
      kept.push(['…', `${kept.length} of ${entries.length} keys`]);
      break;
    }
    budget.left -= key.length;
    kept.push([cutText(key, 256), bounded(entry, budget, depth + 1)]);
  }
  return Object.fromEntries(kept);
}
