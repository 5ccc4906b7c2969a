import type { TokenCounts, Usage } from '../../protocol/task.js';
import type { SessionTotals } from '../../tasks/task-store.js';
import { keptUsage } from './counted-usage.js';
import { isObject } from './json-line.js';

/** The oldest version known to go on counting in a session that is resumed; 2.1.197 counts by the run. */
const COUNTS_ON = [2, 1, 330] as const;
/** Below this, two sums of dollars are the same. */
const NO_DIFFERENCE_USD = 1e-6;

/**
 * What an attempt costs, from its `result` lines. `total_cost_usd` and `modelUsage` count from the session's beginning,
 * so that what was there before is subtracted. The program keeps its count when it exits, also on SIGTERM: what a run
 * that was ended so did cost is part of the next one's difference. A run that was killed is missing from the count.
 */
export class CostMeter {
  #baseline: SessionTotals | null;
  #countsOn = true;
  #total: SessionTotals | null = null;
  /** Sum of what the results of this run told of themselves; null where one did not. */
  #own: { costUsd: number; tokens: TokenCounts } | null = { costUsd: 0, tokens: NONE };
  /** Sum of the `usage` of the results. */
  #used: TokenCounts = NONE;
  usage: Usage | null = null;
  surprise: string | null = null;

  constructor(baseline: SessionTotals | null) {
    this.#baseline = baseline;
  }

  /** It is another session, in which nothing was before. */
  beginAnew(): void {
    this.#baseline = null;
  }

  /** As the program tells it of itself. */
  setVersion(version: string): void {
    this.#countsOn = !isOlder(version);
  }

  /** Takes a `result`. */
  add(result: Record<string, unknown>): void {
    const cost = result['total_cost_usd'];
    const known = typeof cost === 'number' && cost >= 0 && cost <= Number.MAX_SAFE_INTEGER;
    const used = result['usage'];
    this.usage = isObject(used) ? keptUsage(used) : null;
    this.#used = sum(this.#used, tokensOfUsage(this.usage));
    this.#addOwn(result['model_usage_since_last_result']);
    this.#total = known ? { costUsd: cost, tokens: tokensOfModels(result['modelUsage']) } : null;
    this.surprise = known ? null : 'its result tells no cost that is a number';
    if (known && result['is_error'] === false && this.#shrank)
      this.surprise = `it counts ${cost} USD for a session that had cost ${this.#baseline?.costUsd} USD before`;
  }

  #addOwn(models: unknown): void {
    const tokens = tokensOfModels(models);
    if (this.#own === null || tokens === null || !isObject(models)) {
      this.#own = null;
      return;
    }
    const costs = Object.values(models).map((model) => (isObject(model) ? numberOf(model['costUSD']) : 0));
    const costUsd = costs.reduce((left, right) => left + right, this.#own.costUsd);
    this.#own = { costUsd, tokens: sum(this.#own.tokens, tokens) };
  }

  /** A count that began anew, although it should not: what is known of the run itself is all there is. */
  get #shrank(): boolean {
    const before = this.#baseline?.costUsd ?? 0;
    return this.#countsOn && (this.#total?.costUsd ?? before) < before - NO_DIFFERENCE_USD;
  }

  /** Of this attempt; null where no result told it. Never negative. */
  get costUsd(): number | null {
    const total = this.#total?.costUsd ?? null;
    if (total === null) return null;
    const own = this.#own?.costUsd ?? 0;
    if (!this.#countsOn) return total;
    if (this.#shrank) return rounded(this.#own === null ? total : own);
    return rounded(Math.max(total - (this.#baseline?.costUsd ?? 0), own));
  }

  /** Of this attempt, with those of its sub-agents where that is told; null without a result. */
  get tokens(): TokenCounts | null {
    if (this.#total === null) return null;
    const { tokens } = this.#total;
    if (tokens === null) return this.#used;
    if (!this.#countsOn) return tokens;
    if (this.#shrank) return this.#own?.tokens ?? tokens;
    return largest(difference(tokens, this.#baseline?.tokens ?? NONE), this.#own?.tokens ?? NONE);
  }

  get sessionTotals(): SessionTotals | null {
    return this.#countsOn ? this.#total : null;
  }
}

export const NONE: TokenCounts = { input: 0, cachedInput: 0, output: 0 };

export function sum(left: TokenCounts, right: TokenCounts): TokenCounts {
  return combine(left, right, (a, b) => a + b);
}

function difference(total: TokenCounts, before: TokenCounts): TokenCounts {
  return combine(total, before, (a, b) => Math.max(0, a - b));
}

function largest(left: TokenCounts, right: TokenCounts): TokenCounts {
  return combine(left, right, Math.max);
}

function combine(
  left: TokenCounts,
  right: TokenCounts,
  by: (left: number, right: number) => number,
): TokenCounts {
  return {
    input: by(left.input, right.input),
    cachedInput: by(left.cachedInput, right.cachedInput),
    output: by(left.output, right.output),
  };
}

/** The tokens of a `usage`, as the API has it. */
export function tokensOfUsage(usage: unknown): TokenCounts {
  if (!isObject(usage)) return NONE;
  const cachedInput = numberOf(usage['cache_read_input_tokens']);
  return {
    input: numberOf(usage['input_tokens']) + numberOf(usage['cache_creation_input_tokens']) + cachedInput,
    cachedInput,
    output: numberOf(usage['output_tokens']),
  };
}

/** Null where it is no list of models. */
function tokensOfModels(models: unknown): TokenCounts | null {
  if (!isObject(models)) return null;
  return Object.values(models).map(tokensOfModel).reduce(sum, NONE);
}

function tokensOfModel(model: unknown): TokenCounts {
  if (!isObject(model)) return NONE;
  const cachedInput = numberOf(model['cacheReadInputTokens']);
  return {
    input: numberOf(model['inputTokens']) + numberOf(model['cacheCreationInputTokens']) + cachedInput,
    cachedInput,
    output: numberOf(model['outputTokens']),
  };
}

function numberOf(value: unknown): number {
  // More than that is nothing that was counted, and no sum could hold it.
  return typeof value === 'number' && value > 0 && value <= Number.MAX_SAFE_INTEGER ? value : 0;
}

/** Without what subtracting leaves behind in the last digits. */
function rounded(usd: number): number {
  return Math.round(usd * 1e9) / 1e9;
}

/** Whether a version is known to be older than the one that was measured. */
function isOlder(version: string): boolean {
  const parts = /^(\d+)\.(\d+)\.(\d+)/u.exec(version)?.slice(1).map(Number);
  if (parts === undefined) return false;
  const at = COUNTS_ON.findIndex((part, index) => part !== parts[index]);
  return at >= 0 && (parts[at] ?? 0) < (COUNTS_ON[at] ?? 0);
}
