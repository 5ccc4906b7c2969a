import { callDaemon } from '../call-daemon.js';
import type { Context } from '../context.js';
import { automationLines } from '../views/automation-views.js';

export async function run(context: Context): Promise<number | undefined> {
  const { output, clock } = context;
  const answer = await callDaemon(context, 'automation.status', {});
  if (output.json) output.document(answer);
  else
    for (const line of automationLines(answer, clock.now(), output.columns(), output.paint))
      output.line(line);
  return 0;
}
