import type { GateState } from '../../protocol/automation.js';
import { callDaemon } from '../call-daemon.js';
import type { Context } from '../context.js';
import { gateListLines } from '../views/gate-views.js';

export async function run(context: Context): Promise<number | undefined> {
  const { options, output, clock } = context;
  const state = options.all === true ? 'all' : ((options.state ?? 'pending') as GateState);
  const gates = await callDaemon(context, 'gate.list', { state });
  if (output.json) output.document(gates);
  else for (const line of gateListLines(gates, state, clock.now(), output.paint)) output.line(line);
  return 0;
}
