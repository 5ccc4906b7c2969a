import type { Context } from '../context.js';
import { withClient } from '../with-client.js';

export async function run(context: Context): Promise<number | undefined> {
  const { output, clock } = context;
  const [answer, ms] = await withClient(context, async (client) => {
    const begun = clock.monotonic();
    return [await client.call('ping', {}), clock.monotonic() - begun] as const;
  });
  if (output.json) output.document(answer);
  else output.line(`pong from PID ${answer.pid} in ${ms.toFixed(2)} ms`);
  return 0;
}
