import type { TokenCounts, Usage } from '../../protocol/task.js';

/** Far above what there is; it stands in every list of tasks. */
const MAX_USAGE_CHARACTERS = 64 * 1024;
const MAX_SURPRISES = 5;

/** A number of tokens, dollars or milliseconds; undefined for all that cannot be one, or that no sum could hold. */
export function amount(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER ? value : undefined;
}

/** What was used, as it was told; null where it is more than fits beside a task. */
export function keptUsage(value: Usage): Usage | null {
  try {
    return JSON.stringify(value).length <= MAX_USAGE_CHARACTERS ? value : null;
  } catch {
    // Too many levels to be written down.
    return null;
  }
}

export function plus(one: TokenCounts | null, other: TokenCounts): TokenCounts {
  if (one === null) return other;
  return {
    input: one.input + other.input,
    cachedInput: one.cachedInput + other.cachedInput,
    output: one.output + other.output,
  };
}

/** What a running count has grown by since `before`; undefined where it has shrunk, so that it cannot be one. */
export function since(before: TokenCounts, now: TokenCounts): TokenCounts | undefined {
  const grown = {
    input: now.input - before.input,
    cachedInput: now.cachedInput - before.cachedInput,
    output: now.output - before.output,
  };
  return Math.min(grown.input, grown.cachedInput, grown.output) < 0 ? undefined : grown;
}

/** What was not as measured, each once. */
export class Surprises {
  readonly #sentences = new Set<string>();

  note(sentence: string): void {
    if (this.#sentences.size < MAX_SURPRISES) this.#sentences.add(sentence);
  }

  get list(): string[] {
    return [...this.#sentences];
  }
}
