import type { Clock } from '../platform/clock.js';
import type { SpendParams, SpendReport } from '../protocol/spend.js';
import { totalSpend } from '../tasks/charges.js';
import type { TaskStore } from '../tasks/task-store.js';
import { timeOf } from './iso-time.js';

const DEFAULT_TIME_MS = 30 * 86_400_000;
const DEFAULT_ROWS = 100;
/** More than there are days to remember. */
const EVERY_DAY = 1000;

/** The method `spend.report`. Throws INVALID_PARAMS for a `since` that is no time. */
export function spendHandler(store: TaskStore, clock: Clock): (params: SpendParams) => Promise<SpendReport> {
  return async ({ by = 'day', since: from, limit = DEFAULT_ROWS }) => {
    const now = clock.now();
    const since = from === undefined ? now - DEFAULT_TIME_MS : timeOf('since', from);
    // What ended in this very millisecond is part of it.
    const time = { since, until: now + 1 };
    const [rows, days] = await Promise.all([
      store.spend({ ...time, by, limit }),
      store.spend({ ...time, by: 'day', limit: EVERY_DAY }),
    ]);
    return {
      since: new Date(since).toISOString(),
      until: new Date(now).toISOString(),
      by,
      rows,
      total: totalSpend(days),
    };
  };
}
