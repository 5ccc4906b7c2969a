import { callDaemon } from '../call-daemon.js';
import type { Context } from '../context.js';
import { ruleOption } from '../stdin.js';
import { traceLines } from '../views/trace-view.js';

const DEFAULT_LIMIT = 20;

export async function run(context: Context): Promise<number | undefined> {
  const { options, output } = context;
  const answer = await callDaemon(context, 'automation.trace', {
    ...ruleOption(options.rule),
    limit: options.limit ?? DEFAULT_LIMIT,
  });
  if (output.json) output.document(answer);
  else for (const line of traceLines(answer, output.paint)) output.line(line);
  return 0;
}
