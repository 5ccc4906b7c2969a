import { callDaemon } from '../call-daemon.js';
import type { Context } from '../context.js';

export async function run(context: Context): Promise<number | undefined> {
  const { output } = context;
  const answer = await callDaemon(context, 'daemon.reload', {});
  if (output.json) output.document(answer);
  else if (answer.changed.length === 0) output.line('Configuration read again: nothing changed');
  else output.line(`Configuration reloaded; changed: ${answer.changed.join(', ')}`);
  return 0;
}
