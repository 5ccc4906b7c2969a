import { callDaemon } from '../call-daemon.js';
import type { Context } from '../context.js';
import { idArgument } from '../stdin.js';

export async function run(context: Context): Promise<number | undefined> {
  const { output } = context;
  const id = idArgument(context.args);
  const answer = await callDaemon(context, 'event.dead.drop', { id });
  if (output.json) output.document(answer);
  else output.line(answer.dropped ? `${id} dropped` : `${id} was not there any more`);
  return 0;
}
