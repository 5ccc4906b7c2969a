import type { TaskStore } from '../../tasks/task-store.js';
import { startOfDay, startOfNextDay } from './day.js';

/** What a day's attempts cost so far, as budgets count. */
export interface DaySums {
  spentUsd: number;
  byRule: ReadonlyMap<string, number>;
}

/** Rules whose sums are read. */
const MAX_RULES = 1_000;

/** What the store knows of today, and of how many attempts nobody knows the cost. Throws the store's error. */
export async function sumsOfToday(store: TaskStore, now: number): Promise<DaySums & { unknown: number }> {
  // A clock that was ahead has left costs of days to come.
  const [since, until] = [startOfDay(now), startOfNextDay(now)];
  const [days, rules] = await Promise.all([
    store.spend({ by: 'day', since, until, limit: 2 }),
    store.spend({ by: 'rule', since, until, limit: MAX_RULES }),
  ]);
  const byRule = rules.flatMap(({ key, countedUsd }): [string, number][] =>
    key === null ? [] : [[key, countedUsd]],
  );
  const spentUsd = days.reduce((sum, { countedUsd }) => sum + countedUsd, 0);
  const unknown = days.reduce((sum, day) => sum + day.unknown, 0);
  return { spentUsd, byRule: new Map(byRule), unknown };
}
