import { resolve } from 'node:path';
import type { SubmitParams } from '../../protocol/method-types.js';
import { callDaemon } from '../call-daemon.js';
import type { CliOptions } from '../cli-options.js';
import type { Context } from '../context.js';
import { readStdin } from '../stdin.js';

function submission(args: readonly string[], options: CliOptions): SubmitParams {
  const { agent, priority, timeout, key, delay, retries, cwd } = options;
  return {
    prompt: args.length === 1 && args[0] === '-' ? readStdin() : args.join(' '),
    source: 'cli',
    ...(agent === undefined ? {} : { agent }),
    ...(priority === undefined ? {} : { priority }),
    ...(timeout === undefined ? {} : { timeoutMs: timeout }),
    ...(key === undefined ? {} : { key }),
    ...(delay === undefined ? {} : { delayMs: delay }),
    ...(retries === undefined ? {} : { retries }),
    ...(cwd === undefined ? {} : { cwd: resolve(cwd) }),
  };
}

export async function run(context: Context): Promise<number | undefined> {
  const { args, options, output } = context;
  const answer = await callDaemon(context, 'task.submit', submission(args, options));
  if (options.wait) {
    const { awaitTask } = await import('../following/await-task.js');
    // Stdout belongs to the agent.
    if (!output.json)
      output.problem(`aiwgd: ${answer.taskId} ${answer.deduped ? 'is there already' : 'queued'}`);
    return awaitTask(answer.taskId, context);
  }
  if (output.json) output.document(answer);
  else output.line(answer.taskId);
  return 0;
}
