import { callDaemon } from '../call-daemon.js';
import type { Context } from '../context.js';
import { visibleLine } from '../output/text.js';
import { ruleOption } from '../stdin.js';

export async function run(context: Context): Promise<number | undefined> {
  const { options, output } = context;
  const params = ruleOption(options.rule);
  const answer = await callDaemon(context, 'automation.enable', params);
  if (output.json) output.document(answer);
  else if (params.ruleId === undefined) output.line('Automation is on');
  else output.line(`Rule ${visibleLine(params.ruleId)} may fire again`);
  return 0;
}
