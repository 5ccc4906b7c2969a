import type { SpendKey, SpendParams } from '../../protocol/spend.js';
import { sinceOption } from '../arguments.js';
import { callDaemon } from '../call-daemon.js';
import type { Context } from '../context.js';
import { spendLines } from '../views/spend-view.js';

const DEFAULT_LIMIT = 31;

export async function run(context: Context): Promise<number | undefined> {
  const { options, output, clock } = context;
  const since = sinceOption(options.since, clock.now());
  const params: SpendParams = {
    by: (options.by ?? 'day') as SpendKey,
    ...(since === undefined ? {} : { since: new Date(since).toISOString() }),
    limit: options.limit ?? DEFAULT_LIMIT,
  };
  const report = await callDaemon(context, 'spend.report', params);
  if (output.json) output.document(report);
  else for (const line of spendLines(report, output.columns(), output.paint)) output.line(line);
  return 0;
}
