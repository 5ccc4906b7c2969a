// What is promised of tasks. Each function has the promise as its name, gets the evidence of a round, and answers what
// contradicts it, a line each.
import { readPrompt } from './agent-spec.mjs';
import { FINAL, isFinal } from './ledger.mjs';

/** A submit that was answered lost nothing: the task is there, with its prompt. */
export function everyAcknowledgedSubmitIsThere({ byId, submits }) {
  const broken = [];
  for (const [name, { submit, taskIds }] of submits) {
    for (const taskId of taskIds) {
      const task = byId.get(taskId);
      if (task === undefined) broken.push(`${taskId} (#${name}) was acknowledged and is not there`);
      // The answer to a submit with a key may be the task of another submit with that key.
      else if (submit.key !== undefined ? task.key !== submit.key : task.prompt !== submit.prompt)
        broken.push(`${taskId} was acknowledged for #${name}, and holds ${JSON.stringify(task.prompt)}`);
    }
  }
  return broken;
}

/** No submit without a key became two tasks; none is there that nobody asked for. */
export function everySubmitIsOneTask({ tasks, ledger }) {
  const broken = [];
  const seen = new Map();
  for (const task of tasks) {
    const name = readPrompt(task.prompt)?.name;
    const asked = ledger.submits.get(name);
    if (asked === undefined) broken.push(`nobody submitted ${task.id}: ${JSON.stringify(task.prompt)}`);
    else if (asked.submit.key === undefined && seen.has(name))
      broken.push(`#${name} was submitted once and is ${seen.get(name)} and ${task.id}`);
    seen.set(name, task.id);
  }
  return broken;
}

export function everyTaskHasOneOutcome({ tasks }) {
  return tasks.flatMap(({ id, state, completedAt }) =>
    isFinal(state) && completedAt !== null ? [] : [`${id} is ${state}, ended at ${completedAt}`],
  );
}

/** Told by RPC, event or tasks.json: it stays so, but for explicit retries. */
export function aToldOutcomeNeverChanges({ byId, ledger }) {
  const broken = [];
  for (const [taskId, byEnd] of ledger.told) {
    const task = byId.get(taskId);
    if (task === undefined) continue;
    for (const [completedAt, outcomes] of byEnd) {
      if (outcomes.size > 1)
        broken.push(`${taskId}, ended at ${completedAt}, was told as ${[...outcomes.keys()].join(' and ')}`);
    }
    const most = 1 + ledger.retriesOf(taskId);
    if (byEnd.size > most) {
      const ends = [...byEnd].map(([at, outcomes]) => `${at} ${[...outcomes].join(' ')}`).join('; ');
      broken.push(`${taskId} was told to have ended ${byEnd.size} times, with ${most - 1} retries: ${ends}`);
    }
    if (ledger.retriesOf(taskId) === 0 && !byEnd.has(task.completedAt))
      broken.push(`${taskId} was told to have ended, and is ${task.state} now`);
  }
  for (const [taskId, states] of ledger.eventStates) {
    const state = byId.get(taskId)?.state;
    const changed = state !== undefined && (states.size > 1 || !states.has(state));
    if (changed && ledger.retriesOf(taskId) === 0)
      broken.push(`events told that ${taskId} is ${[...states].join(' and ')}; it is ${state}`);
  }
  return broken;
}

/** Tasks with the same key are never active at the same time. */
export function aKeyNamesOneActiveTask({ tasks: all, ledger }) {
  const broken = [];
  const byKey = new Map();
  for (const task of all) {
    if (task.key !== null && ledger.retriesOf(task.id) === 0)
      byKey.set(task.key, [...(byKey.get(task.key) ?? []), task]);
  }
  for (const [key, tasks] of byKey) {
    tasks.sort((a, b) => a.createdAt.localeCompare(b.createdAt) || a.id.localeCompare(b.id));
    for (const [index, task] of tasks.entries()) {
      const next = tasks[index + 1];
      if (next !== undefined && (task.completedAt === null || next.createdAt < task.completedAt))
        broken.push(
          `${next.id} came at ${next.createdAt}, and ${task.id} of the same ${key} ended at ${task.completedAt}`,
        );
    }
  }
  return broken;
}

/** A cancel that was acknowledged is the outcome, unless the agent had come to its own end before. */
export function anAcknowledgedCancelHolds({ tasks, ledger, runsOf }) {
  return tasks.flatMap(({ id, state }) => {
    if (!ledger.cancels.get(id)?.acknowledged || ledger.retriesOf(id) > 0 || state === 'cancelled') return [];
    const ended = runsOf(id).some((run) => run.end !== null);
    return ended
      ? []
      : [`the cancel of ${id} was acknowledged, its agent never ended by itself, and it is ${state}`];
  });
}

/** Nobody made a task cancelled or timed out but a cancel or its time limit. */
export function outcomesHaveTheirReason({ tasks, ledger, submitOf }) {
  return tasks.flatMap((task) => {
    const { id, state, error } = task;
    if (!FINAL.includes(state)) return [];
    if (state === 'cancelled' && !ledger.cancels.has(id))
      return [`${id} is cancelled, and nobody asked for it`];
    if (state === 'timeout' && submitOf(task)?.timeoutMs === undefined)
      return [`${id} has no limit and timed out`];
    if (state !== 'completed' && state !== 'cancelled' && !error)
      return [`${id} is ${state} without a reason`];
    return [];
  });
}
