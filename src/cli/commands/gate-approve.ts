import { callDaemon } from '../call-daemon.js';
import type { Context } from '../context.js';
import { idArgument } from '../stdin.js';
import { answeredLines } from '../views/gate-views.js';

export async function run(context: Context): Promise<number | undefined> {
  const { args, options, output } = context;
  const gate = await callDaemon(context, 'gate.approve', {
    gateId: idArgument(args),
    ...(options.always === true ? { always: true } : {}),
  });
  if (output.json) output.document(gate);
  else for (const line of answeredLines(gate, output.paint)) output.line(line);
  return 0;
}
