import { createRequire } from 'node:module';
import type * as Levenshtein from 'fastest-levenshtein';

let loaded: typeof Levenshtein | undefined;

/** Only who has made a mistake needs it, so nobody else waits the 4 ms that loading takes. */
function levenshtein(): typeof Levenshtein {
  loaded ??= createRequire(import.meta.url)('fastest-levenshtein') as typeof Levenshtein;
  return loaded;
}

/** So that `maxPerHour`, `max-per-hour` and `max_per_hour` are the same. */
function plain(text: string): string {
  return text.toLowerCase().replaceAll(/[_\s-]/g, '');
}

/** The known word nearest to a mistyped one, or undefined when none is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  if (known.length === 0 || word.length < 2 || word.length > 100) return undefined;
  const same = known.find((one) => plain(one) === plain(word));
  if (same !== undefined) return same;
  const { closest, distance } = levenshtein();
  const best = closest(word, known);
  return distance(word, best) <= Math.max(1, Math.floor(word.length * 0.4)) ? best : undefined;
}

/** The known word nearest to another, however far. */
export function closestOf(word: string, known: readonly string[]): string {
  return levenshtein().closest(word, known);
}
