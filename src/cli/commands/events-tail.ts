import type { AiwgEvent } from '../../protocol/event.js';
import type { Context } from '../context.js';
import { formatLocalTime } from '../output/format.js';
import { visibleLine } from '../output/text.js';
import { withClient } from '../with-client.js';

const DEFAULT_LIMIT = 50;

export async function run(context: Context): Promise<number | undefined> {
  const { options, output } = context;
  const topic = options.topic ?? '*';
  const limit = options.limit ?? DEFAULT_LIMIT;
  const print = (event: AiwgEvent): void => {
    const { type, source, timestamp, payload } = event;
    const { paint } = output;
    output.line(
      `${paint('dim', formatLocalTime(Date.parse(timestamp)))} ${paint('cyan', visibleLine(type))}  ${visibleLine(source)}  ${visibleLine(JSON.stringify(payload))}`,
    );
  };
  await withClient(
    context,
    async (client) => {
      // First the subscription, then what was: so nothing falls between the two.
      const live = options.follow ? client.events([topic]) : undefined;
      await live?.ready;
      const past = limit === 0 ? [] : await client.call('event.history', { topic, limit });
      if (output.json && live === undefined) output.document(past);
      else past.forEach(output.json ? output.jsonLine : print);
      if (live === undefined) return;
      const printed = new Set(past.map(({ id }) => id));
      for await (const event of live) {
        if (printed.has(event.id)) continue;
        if (output.json) output.jsonLine(event);
        else print(event);
      }
    },
    { reconnect: options.follow === true },
  );
  return 0;
}
