import { resolve } from 'node:path';
import type { SubmitParams } from '../../protocol/method-types.js';
import { ANSWER_LIMIT_MS, callDaemon } from '../call-daemon.js';
import { causeOf } from '../cause.js';
import type { CliOptions } from '../cli-options.js';
import type { Context } from '../context.js';
import { readStdin } from '../stdin.js';
import { withDeadline } from '../with-deadline.js';

function submission(args: readonly string[], options: CliOptions): SubmitParams {
  const { agent, priority, timeout, key, delay, retries, cwd } = options;
  return {
    prompt: args.length === 1 && args[0] === '-' ? readStdin() : args.join(' '),
    source: 'cli',
    ...causeOf(options, process.env),
    ...(agent === undefined ? {} : { agent }),
    ...(priority === undefined ? {} : { priority }),
    ...(timeout === undefined ? {} : { timeoutMs: timeout }),
    ...(key === undefined ? {} : { key }),
    ...(delay === undefined ? {} : { delayMs: delay }),
    ...(retries === undefined ? {} : { retries }),
    ...(cwd === undefined ? {} : { cwd: resolve(cwd) }),
    ...conversation(options),
  };
}

/** What it goes on with, and what is to judge it. */
function conversation({ resume, verify, verifyRounds }: CliOptions): Partial<SubmitParams> {
  return {
    ...(resume === undefined ? {} : { resume }),
    ...(verify === undefined ? {} : { verify }),
    ...(verifyRounds === undefined ? {} : { verifyRounds }),
  };
}

/** Over one connection: from the moment when the task is handed in, whatever becomes of the daemon is waited for. */
async function submitAndWait(context: Context, task: SubmitParams): Promise<number> {
  const { output, clock } = context;
  const [{ awaitTask }, { withClient }] = await Promise.all([
    import('../following/await-task.js'),
    import('../with-client.js'),
  ]);
  return withClient(
    context,
    async (client) => {
      const answer = await withDeadline(clock, ANSWER_LIMIT_MS, (signal) =>
        client.call('task.submit', task, { signal }),
      );
      // Stdout belongs to the agent.
      if (!output.json)
        output.problem(`aiwgd: ${answer.taskId} ${answer.deduped ? 'is there already' : 'queued'}`);
      return awaitTask(client, answer.taskId, context);
    },
    { reconnect: true },
  );
}

export async function run(context: Context): Promise<number | undefined> {
  const { args, options, output } = context;
  const task = submission(args, options);
  if (options.wait) return submitAndWait(context, task);
  const answer = await callDaemon(context, 'task.submit', task);
  if (output.json) output.document(answer);
  else output.line(answer.taskId);
  return 0;
}
