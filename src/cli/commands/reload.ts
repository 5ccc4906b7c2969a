import type { Context } from '../context.js';
import { withClient } from '../with-client.js';

export async function run(context: Context): Promise<number | undefined> {
  const { output } = context;
  const answer = await withClient(context, (client) => client.call('daemon.reload', {}));
  if (output.json) output.document(answer);
  else if (answer.changed.length === 0) output.line('Configuration read again: nothing changed');
  else output.line(`Configuration reloaded; changed: ${answer.changed.join(', ')}`);
  return 0;
}
