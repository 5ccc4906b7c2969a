import { AiwgdError } from '../../protocol/errors.js';
import { callDaemon } from '../call-daemon.js';
import type { Context } from '../context.js';
import { idArgument } from '../stdin.js';

export async function run(context: Context): Promise<number | undefined> {
  const { output } = context;
  const id = idArgument(context.args);
  const answer = await callDaemon(context, 'event.dead.retry', { id });
  if (output.json) output.document(answer);
  else if (answer.delivered) output.line(`${id} delivered`);
  if (answer.delivered) return 0;
  const failure = new AiwgdError(
    'CONFLICT',
    `${id} could not be delivered again; it is kept. Why: aiwgd events dead list`,
  );
  output.problem(`aiwgd: ${failure.message}`);
  return failure.exitCode;
}
