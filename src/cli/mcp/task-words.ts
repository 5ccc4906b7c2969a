import { isFinal, type Task } from '../../protocol/task.js';
import { visibleLine, visibleText } from '../../protocol/visible-text.js';
import { boundedValue, cutText } from './bounded.js';

/** What a model can make use of; the daemon has all of it. */
const PROMPT_CHARACTERS = 1_000;
const RESULT_CHARACTERS = 64 * 1024;
const ERROR_CHARACTERS = 8_000;
const REST_CHARACTERS = 16 * 1024;
const LISTED_CHARACTERS = 200;

/**
 * A task for a client: with long texts cut, without its output, which `read_output` has, and without what is null: models
 * pay for every word.
 */
export function taskForClient(task: Task): Record<string, unknown> {
  const { id, state, prompt, result, error, output: _, ...rest } = task;
  return withoutNulls({
    id,
    state,
    ended: isFinal(state),
    error: error === null ? null : cutText(error, ERROR_CHARACTERS),
    result: result === null ? null : cutText(result, RESULT_CHARACTERS),
    prompt: cutText(prompt, PROMPT_CHARACTERS),
    ...(boundedValue(rest, REST_CHARACTERS) as object),
  });
}

function withoutNulls(object: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null));
}

/** A task as one of many. */
export function taskForList(task: Task): Record<string, unknown> {
  const { id, state, agent, createdAt, completedAt, waitReason, costUsd, attempt, error } = task;
  return withoutNulls({
    id,
    state,
    agent,
    createdAt,
    completedAt,
    waitReason,
    attempt,
    costUsd,
    prompt: cutText(task.prompt, LISTED_CHARACTERS),
    error: error === null ? null : cutText(error, LISTED_CHARACTERS),
  });
}

/** Where a task stands, on one line. */
export function stateLine(task: Task): string {
  const parts = [`${task.id} ${task.state === 'timeout' ? 'timed out' : task.state}`];
  if (task.waitReason !== null) {
    parts.push(`waiting: ${task.waitReason}${task.runAt === null ? '' : `, until ${task.runAt}`}`);
  }
  if (task.attempt > 1) parts.push(`attempt ${task.attempt}`);
  if (task.costUsd !== null) parts.push(`${task.costUsd.toFixed(4)} USD`);
  if (task.progress !== null) {
    parts.push(`${task.progress.turns} turns`);
    if (task.progress.tool !== null) parts.push(task.progress.tool);
  }
  return cutText(visibleLine(parts.join('; ')), 500);
}

/** A task in words: where it stands, and what came out. */
export function taskText(task: Task): string {
  const { result, error } = task;
  const said = [
    ...(error === null ? [] : [cutText(error, ERROR_CHARACTERS)]),
    ...(result === null ? [] : [cutText(result, RESULT_CHARACTERS)]),
  ];
  if (!isFinal(task.state)) said.push(`It goes on. Wait for its end with wait_task (taskId ${task.id}).`);
  else if (result === null) said.push(`It left no result; read_output has what it wrote.`);
  return visibleText([stateLine(task), ...said].join('\n'));
}

/** A line for a list. */
export function listLine(task: Task): string {
  return `${stateLine(task)}: ${cutText(visibleLine(task.prompt.slice(0, 1_000)), 80)}`;
}
