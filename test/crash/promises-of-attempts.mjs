// What is promised of attempts and their processes. As with the promises of tasks: evidence in, contradictions out.
import { attemptsOf, endOf, outputOf, readPrompt } from './agent-spec.mjs';

/** Two runs of a task, by their own journal: the second begins after the last sign of life of the first. */
export function neverTwoAttemptsOfATaskAtOnce({ tasks, runsOf }) {
  return tasks.flatMap(({ id }) => {
    const runs = runsOf(id);
    return runs.flatMap((run, index) => {
      const earlier = runs.slice(0, index).find((one) => one.last > run.start);
      return earlier === undefined
        ? []
        : [
            `${id}: attempt ${run.attemptId} began at ${run.start}, and ${earlier.attemptId} still wrote at ${earlier.last}`,
          ];
    });
  });
}

/** The same attempt is never launched twice. */
export function anAttemptIsLaunchedOnce({ runs }) {
  const seen = new Set();
  return runs.flatMap(({ taskId, attemptId }) => {
    if (seen.has(attemptId)) return [`attempt ${attemptId} of ${taskId} was launched twice`];
    seen.add(attemptId);
    return [];
  });
}

/** Whatever happens to the daemon: a task that nobody else disturbed ran as often as its own verdicts ask for. */
export function whateverHappensToTheDaemonATaskRunsOnce(evidence) {
  const { tasks, runsOf, isDisturbed, submitOf, isEndless } = evidence;
  return tasks.flatMap((task) => {
    if (isDisturbed(task)) return [];
    const retries = submitOf(task)?.retries ?? 0;
    const { maxAttempts } = task;
    const expected = isEndless(task) ? 1 : attemptsOf(readPrompt(task.prompt).spec, { maxAttempts, retries });
    const { length } = runsOf(task.id);
    if (length === expected && task.attempt === expected) return [];
    return [
      `${task.id} (${task.state}) ran ${length} times and counts ${task.attempt} attempts; expected ${expected}`,
    ];
  });
}

export function attemptsStayWithinTheirBound({ tasks, runsOf, ledger }) {
  return tasks.flatMap(({ id, attempt, maxAttempts }) => {
    const runs = runsOf(id).length;
    const most = maxAttempts * (1 + ledger.retriesOf(id));
    if (attempt > maxAttempts) return [`${id} counts ${attempt} attempts of ${maxAttempts}`];
    return runs > most ? [`${id} ran ${runs} times; ${most} attempts were allowed`] : [];
  });
}

/** A task whose attempt was cut off was tried again, or failed and says why. */
export function anInterruptedAttemptIsFollowedOrFails({ tasks, runsOf, ledger }) {
  return tasks.flatMap(({ id, state, attempt, maxAttempts, error }) => {
    const [last] = runsOf(id).slice(-1);
    const wasCut =
      last !== undefined && last.end === null && ledger.hits.some((hit) => hit.attemptId === last.attemptId);
    if (!wasCut || state === 'cancelled' || state === 'timeout') return [];
    if (state === 'completed') return [`${id} is completed, and its last attempt was killed before its end`];
    // An agent that was killed under a living runner has failed by a signal: a verdict like any other.
    const failed = state === 'failed' && Boolean(error);
    return failed
      ? []
      : [`${id} was cut off in attempt ${attempt} of ${maxAttempts} and is ${state}: ${error}`];
  });
}

/** Every byte of a completed task: by the socket, by the command, and in its size. */
export function outputIsWhole({ tasks, outputs, ledger, hadSickDisk }) {
  return tasks.flatMap((task) => {
    const { id, state, outputBytes, attempt } = task;
    const output = outputs.get(id);
    const expected = outputOf(readPrompt(task.prompt).spec);
    if (output === undefined || hadSickDisk(task)) return [];
    const broken = [];
    if (state === 'completed') {
      if (output.rpc !== expected) broken.push(`${id}: task.output has ${difference(output.rpc, expected)}`);
      const followed = ledger.follows.find((one) => one.taskId === id && one.ended)?.attempts.get(attempt);
      if (followed !== undefined && ledger.retriesOf(id) === 0 && followed !== expected)
        broken.push(`${id}: a client that followed got ${difference(followed, expected)}`);
    } else if (!expected.startsWith(output.rpc)) {
      broken.push(`${id} (${state}): task.output has ${difference(output.rpc, expected)}`);
    }
    if (output.command !== undefined && output.command.trimEnd() !== output.rpc.trimEnd())
      broken.push(`${id}: task logs has ${difference(output.command, output.rpc)}`);
    if (output.file !== undefined && output.file !== output.rpc)
      broken.push(`${id} (${state}): stdout.log has ${difference(output.file, output.rpc)}`);
    if (outputBytes !== Buffer.byteLength(output.rpc))
      broken.push(`${id} (${state}): outputBytes is ${outputBytes} of ${Buffer.byteLength(output.rpc)}`);
    return broken;
  });
}

/** Exit codes and signals are those of the agent itself. */
export function exitsAreTheRealOnes({ tasks, isDisturbed, isEndless }) {
  return tasks.flatMap((task) => {
    if (isDisturbed(task) || isEndless(task)) return [];
    const { state, exitCode, signal } = task;
    const expected = endOf(readPrompt(task.prompt).spec);
    const right = state === expected.state && exitCode === expected.exitCode && signal === expected.signal;
    return right
      ? []
      : [
          `${task.id} is ${JSON.stringify({ state, exitCode, signal })}, expected ${JSON.stringify(expected)}`,
        ];
  });
}

/** An endless agent with a time limit ends as timeout, whoever counts the time. */
export function aTimeLimitHoldsThroughACrash({ tasks, isDisturbed, submitOf, runsOf }) {
  return tasks.flatMap((task) => {
    const limit = submitOf(task)?.timeoutMs;
    if (limit === undefined || isDisturbed(task)) return [];
    if (task.state !== 'timeout') return [`${task.id} has a limit of ${limit} ms and is ${task.state}`];
    const early = Date.parse(task.completedAt) - Date.parse(task.startedAt) < limit - 20;
    return early ? [`${task.id} timed out before its ${limit} ms, in ${runsOf(task.id).length} runs`] : [];
  });
}

function difference(got, expected) {
  if (got.length === 0) return `nothing of ${expected.length} characters`;
  let at = 0;
  while (at < got.length && got[at] === expected[at]) at += 1;
  const [here, there] = [got, expected].map((text) => JSON.stringify(text.slice(at, at + 40)));
  return `${got.length} of ${expected.length} characters; from ${at} on ${here} where ${there} is right`;
}
