import { callDaemon } from '../call-daemon.js';
import type { Context } from '../context.js';
import { visibleLine } from '../output/text.js';
import { ruleOption } from '../stdin.js';

export async function run(context: Context): Promise<number | undefined> {
  const { options, output } = context;
  const params = ruleOption(options.rule);
  const answer = await callDaemon(context, 'automation.disable', params);
  if (output.json) output.document(answer);
  else if (params.ruleId === undefined)
    output.line('Automation is off: no rule fires until aiwgd automation enable');
  else
    output.line(
      `Rule ${visibleLine(params.ruleId)} is disabled: it does not fire until aiwgd automation enable --rule ${visibleLine(params.ruleId)}`,
    );
  return 0;
}
