import { callDaemon } from '../call-daemon.js';
import type { Context } from '../context.js';
import { idArgument } from '../stdin.js';

export async function run(context: Context): Promise<number | undefined> {
  const { output } = context;
  const jobId = idArgument(context.args);
  const answer = await callDaemon(context, 'schedule.run', { jobId });
  if (output.json) output.document(answer);
  else output.line(answer.runId ?? `${jobId} has not ended its last run, and skips this one`);
  return 0;
}
