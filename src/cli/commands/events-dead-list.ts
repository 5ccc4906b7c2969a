import { callDaemon } from '../call-daemon.js';
import type { Context } from '../context.js';
import { formatRelative } from '../output/format.js';
import { tableLines } from '../output/table.js';
import { visibleLine } from '../output/text.js';

export async function run(context: Context): Promise<number | undefined> {
  const { output, clock } = context;
  const letters = await callDaemon(context, 'event.dead.list', {});
  if (output.json) {
    output.document(letters);
    return 0;
  }
  if (letters.length === 0) {
    output.line('No dead letters');
    return 0;
  }
  const rows = letters.map((letter) => [
    visibleLine(letter.id),
    visibleLine(letter.event.type),
    visibleLine(letter.subscriber),
    String(letter.attempts),
    formatRelative(letter.at, clock.now()),
    visibleLine(letter.error),
  ]);
  const columns = [
    { title: 'ID' },
    { title: 'TOPIC' },
    { title: 'SUBSCRIBER' },
    { title: 'TRIES', align: 'right' as const },
    { title: 'AT', align: 'right' as const },
    { title: 'ERROR', flexible: true },
  ];
  for (const line of tableLines(columns, rows, output.columns(), output.paint)) output.line(line);
  return 0;
}
