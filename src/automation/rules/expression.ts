import { type Context, createContext, Script } from 'node:vm';
import { messageOf } from '../../protocol/errors.js';

/** Characters of the longest text that an expression is tried on. */
export const MAX_MATCHED_TEXT = 10_000;
/** Longest time that one expression may take over one text. */
const MAX_MATCH_MS = 50;
/** By the repetitions in an expression: the longest text over which it cannot take long, however it backtracks. */
const HARMLESS_TEXT = [MAX_MATCHED_TEXT, 2_000, 256, 96];

interface Bench extends Context {
  expression: RegExp;
  text: string;
}

let bench: Bench | undefined;
const tryIt = new Script('expression.test(text)');

/** Some 70 µs where the plain call takes less than one, so only for what may run away. */
function testWithLimit(expression: RegExp, text: string): boolean {
  bench ??= createContext({ expression, text }) as Bench;
  bench.expression = expression;
  bench.text = text;
  try {
    return tryIt.runInContext(bench, { timeout: MAX_MATCH_MS }) as boolean;
  } finally {
    bench.text = '';
  }
}

/** Characters of the longest text that needs no time limit. Repeated groups and references back always need one. */
function harmlessLength(source: string): number {
  if (/\)[*+?{]|\\[1-9k]/.test(source)) return 0;
  const bare = source.replaceAll(/\\.|\(\?/g, '').replaceAll(/([*+?}])\?/g, '$1');
  return HARMLESS_TEXT[bare.match(/[*+?}]/g)?.length ?? 0] ?? 0;
}

/**
 * A regular expression of the configuration, tried on text from outside. Whoever wrote the one has not seen the other: a
 * text that makes it backtrack for ever must not stop the daemon. So long texts do not match, and what may run away has a
 * time limit.
 */
export class Expression {
  readonly #expression: RegExp;
  readonly #harmlessLength: number;

  /** @throws SyntaxError where `source` is no regular expression; the configuration refuses those. */
  constructor(source: string) {
    this.#expression = new RegExp(source);
    this.#harmlessLength = harmlessLength(source);
  }

  /** Whether it matches; false for a text that it gives no answer for. Never throws. */
  test(text: string): boolean {
    return this.explain(text).matches;
  }

  /** As `test`; `problem` says why there is no answer, where there is none. */
  explain(text: string): { matches: boolean; problem?: string } {
    if (text.length > MAX_MATCHED_TEXT) {
      const problem = `the text has ${text.length} characters; expressions are tried on ${MAX_MATCHED_TEXT} at most`;
      return { matches: false, problem };
    }
    const outcome = this.#outcome(text);
    return typeof outcome === 'boolean' ? { matches: outcome } : { matches: false, problem: outcome };
  }

  #outcome(text: string): boolean | string {
    if (text.length <= this.#harmlessLength) return this.#expression.test(text);
    try {
      return testWithLimit(this.#expression, text);
    } catch (error) {
      const late = (error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT';
      return late
        ? `the expression took longer than ${MAX_MATCH_MS} ms; write it with fewer repetitions`
        : `the expression failed: ${messageOf(error)}`;
    }
  }
}
