import { callDaemon } from '../call-daemon.js';
import type { Context } from '../context.js';
import { idArgument } from '../stdin.js';
import { answeredLines } from '../views/gate-views.js';

export async function run(context: Context): Promise<number | undefined> {
  const { args, output } = context;
  const reason = args.slice(1).join(' ').trim();
  const gate = await callDaemon(context, 'gate.reject', {
    gateId: idArgument(args),
    ...(reason === '' ? {} : { reason }),
  });
  if (output.json) output.document(gate);
  else for (const line of answeredLines(gate, output.paint)) output.line(line);
  return 0;
}
