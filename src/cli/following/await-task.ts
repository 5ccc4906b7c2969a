import type { Client } from '../../ipc/client.js';
import { AiwgdError } from '../../protocol/errors.js';
import type { Task } from '../../protocol/task.js';
import type { Context } from '../context.js';
import type { Output } from '../output/output.js';
import { visibleText } from '../output/text.js';
import { requireProject } from '../project.js';
import { AgentOutput } from './agent-output.js';
import { whileDaemonLives } from './away-watch.js';

function outcome(task: Task): string {
  const what = task.state === 'timeout' ? 'timed out' : task.state;
  return `${task.id} ${what}${task.error === null ? '' : `: ${task.error}`}`;
}

/** Prints the output of the attempts of a task as it comes and returns the ended task. */
async function printOutput(
  client: Client,
  taskId: string,
  signal: AbortSignal,
  output: Output,
): Promise<Task> {
  const chunks = client.output(taskId, { signal });
  let readable = new AgentOutput(output.paint, output.terminal);
  let attempt: number | undefined;
  for (;;) {
    const { done, value } = await chunks.next();
    if (done) {
      output.write(readable.flush());
      return value;
    }
    if (attempt !== undefined && value.attempt !== attempt) {
      output.write(readable.flush());
      readable = new AgentOutput(output.paint, output.terminal);
      output.problem(`aiwgd: attempt ${value.attempt} of ${taskId}`);
    }
    attempt = value.attempt;
    if (value.stream === 'stdout') await output.stream(readable.push(value.data));
    else output.writeProblem(process.stderr.isTTY ? visibleText(value.data) : value.data);
  }
}

/** Reads on to the end without printing. */
async function untilEnd(client: Client, taskId: string, signal: AbortSignal): Promise<Task> {
  const chunks = client.output(taskId, { signal });
  for (;;) {
    const { done, value } = await chunks.next();
    if (done) return value;
  }
}

/**
 * Streams a task's output until it ends and returns the exit code: 0 for `completed`. With `--json` only the final task
 * is printed. A restart of the daemon is waited for, by a client that reconnects: the task is on disk.
 */
export async function awaitTask(client: Client, taskId: string, context: Context): Promise<number> {
  const { output, clock, options } = context;
  context.onInterrupt(() => {
    output.problem(`aiwgd: ${taskId} goes on. Come back to it with: aiwgd task wait ${taskId}`);
  });
  const follow = output.json ? untilEnd : printOutput;
  const task = await whileDaemonLives(requireProject(options), clock, (signal) =>
    follow(client, taskId, signal, output),
  );
  if (output.json) output.document(task);
  if (task.state === 'completed') return 0;
  const failure = new AiwgdError('TASK_NOT_COMPLETED', visibleText(outcome(task)));
  output.problem(`aiwgd: ${failure.message}`);
  return failure.exitCode;
}
