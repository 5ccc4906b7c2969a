import { TASK_STATES } from '../../protocol/task.js';
import { callDaemon } from '../call-daemon.js';
import type { Context } from '../context.js';

const LABEL_WIDTH = 11;

export async function run(context: Context): Promise<number | undefined> {
  const { output } = context;
  const counts = await callDaemon(context, 'task.stats', {});
  if (output.json) {
    output.document(counts);
    return 0;
  }
  const widest = String(counts.total).length;
  for (const name of [...TASK_STATES, 'total'] as const) {
    output.line(`${name.padEnd(LABEL_WIDTH)}${String(counts[name]).padStart(widest)}`);
  }
  return 0;
}
