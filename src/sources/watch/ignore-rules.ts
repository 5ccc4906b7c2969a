import { createRequire } from 'node:module';
import type { Ignore, Options } from 'ignore';

/**
 * By `require`, because where packages are reached through symbolic links (`npm link`, pnpm) Node 20 now and then imports it
 * as an empty object, when another import goes on at the same time.
 */
const ignore = createRequire(import.meta.url)('ignore') as (options?: Options) => Ignore;

/** The library keeps every path it was asked about; it is made anew after this many. */
const FORGET_AFTER = 4_096;

/** macOS and Windows do not tell `Build` from `build`, and git there does not either. */
const OPTIONS = { ignorecase: process.platform === 'darwin' || process.platform === 'win32' };

/**
 * The lines of an ignore file in `folder` as rules for paths relative to the top, with the same meaning. So the files of
 * all levels make one list, in which the last word counts, just as in git.
 */
export function rulesUnder(folder: string, lines: readonly string[]): string[] {
  const rules = lines.flatMap((line) => line.replace(/^\uFEFF/, '').split(/\r?\n/));
  if (folder === '') return rules;
  const place = escapeGlob(folder);
  return rules
    .filter((rule) => rule.trim() !== '' && !rule.startsWith('#'))
    .map((rule) => under(place, rule));
}

function under(place: string, rule: string): string {
  const negative = rule.startsWith('!') ? '!' : '';
  const pattern = rule.slice(negative.length).replace(/^\\(?=[#!])/, '');
  const slash = pattern.indexOf('/');
  const anchored = slash !== -1 && slash < pattern.trimEnd().length - 1;
  if (anchored) return `${negative}/${place}/${pattern.replace(/^\//, '')}`;
  return `${negative}/${place}/**/${pattern}`;
}

/** The path as a pattern that matches just it. */
export function escapeGlob(path: string): string {
  return path.replaceAll(/[\\*?[]/g, '\\$&');
}

/** Rules of which the last that matches decides; what lies in an ignored folder stays ignored. Immutable. */
export class IgnoreRules {
  readonly #rules: Ignore;
  #asked: Ignore;
  #count = 0;

  private constructor(rules: Ignore) {
    this.#rules = rules;
    this.#asked = rules;
  }

  static of(rules: readonly string[]): IgnoreRules {
    return new IgnoreRules(ignore(OPTIONS).add(rules));
  }

  /** These rules and then those. */
  with(more: IgnoreRules): IgnoreRules {
    return new IgnoreRules(ignore(OPTIONS).add(this.#rules).add(more.#rules));
  }

  /** `path` is relative to the top; a folder's ends with a slash. */
  ignores(path: string): boolean {
    this.#count += 1;
    if (this.#count % FORGET_AFTER === 0) this.#asked = ignore(OPTIONS).add(this.#rules);
    return this.#asked.ignores(path);
  }
}
