import { callDaemon } from '../call-daemon.js';
import type { Context } from '../context.js';

export async function run(context: Context): Promise<number | undefined> {
  const { output, clock } = context;
  const begun = clock.monotonic();
  const answer = await callDaemon(context, 'ping', {});
  const ms = clock.monotonic() - begun;
  if (output.json) output.document(answer);
  else output.line(`pong from PID ${answer.pid} in ${ms.toFixed(2)} ms`);
  return 0;
}
