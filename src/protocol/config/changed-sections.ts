import { isDeepStrictEqual } from 'node:util';
import type { Config } from './config-schema.js';

/** Names of the top-level sections in which two configurations differ. */
export function changedSections(before: Config, after: Config): (keyof Config)[] {
  const names = Object.keys(after) as (keyof Config)[];
  return names.filter((name) => !isDeepStrictEqual(before[name], after[name]));
}
