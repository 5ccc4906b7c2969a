import type { Gate } from '../../protocol/automation.js';
import { DEFAULT_VERIFY_ROUNDS, isFinal } from '../../protocol/task.js';
import { OUTSIDE } from '../lineage.js';
import type { ActionTask, TaskEnd } from '../ports.js';
import { eventEnvironment } from '../rules/event-environment.js';
import { WebhookError } from '../webhook-error.js';
import { ActionFailure, RunEnded } from './action-failure.js';
import type { RunContext } from './run-context.js';
import { type Previous, type RunRecord, type Step, splitOwner } from './run-records.js';
import { stepWords } from './step-words.js';

/** A step that was done. */
export interface Done {
  /** For the trace. */
  detail: string;
  previous?: Previous;
  /** Done within the transaction that notes the step as done, so that it happens once. */
  commit?: () => void;
}

export interface Performance {
  run: RunRecord;
  /** The step with its templates filled in. */
  step: Step;
  context: RunContext;
  signal: AbortSignal;
  /** Notes what the step waits for, so that the next daemon waits for the same. */
  keepWaitingFor: (id: string) => Promise<void>;
  /** Resolves when the gate was answered; the keeper has the answer. */
  gateAnswer: (gateId: string) => Promise<void>;
}

/** Carries out one step. Throws ActionFailure, or RunEnded where the run is over without a failure. */
export async function perform(performance: Performance): Promise<Done> {
  const { step } = performance;
  switch (step.type) {
    case 'submit_task':
    case 'command':
      return performTask(performance, step);
    case 'notify':
      return performNotify(performance, step);
    case 'emit':
      return performEmit(performance, step);
    case 'webhook':
      return performWebhook(performance, step);
    case 'gate':
      return performGate(performance);
    case 'built_in':
      return performBuiltIn(performance, step);
    default:
      return step satisfies never;
  }
}

/** The event as agents and receivers get it: with everything that the run stands for. */
export function eventDocument({ event, files, count }: RunRecord): Record<string, unknown> {
  return { ...event, files, count };
}

/**
 * Names the step at work for others that keep such names for ever. Runs alone are counted anew where the database had to
 * be begun anew, and in every project: only with the event they are told apart.
 */
function nameOf({ event, id, step }: RunRecord): string {
  return `${event.id}.${id}.${step}`;
}

type TaskStep = Extract<Step, { type: 'submit_task' | 'command' }>;

async function performTask(performance: Performance, step: TaskStep): Promise<Done> {
  const { run, context, signal, keepWaitingFor } = performance;
  let taskId = run.waitsFor;
  if (taskId === null) {
    ({ taskId } = await context.tasks.submit(taskOf(run, step)));
    await keepWaitingFor(taskId);
  }
  if ('wait' in step && !step.wait)
    return { detail: taskId, previous: { taskId, state: 'queued', result: null } };
  const end = await context.waits.end(taskId, signal);
  if (signal.aborted) throw new RunEnded('cancelled', 'The daemon stops');
  return judgeTask(step, taskId, end);
}

function taskOf(run: RunRecord, step: TaskStep): ActionTask {
  const [kind, ownerId] = splitOwner(run.owner);
  const common = {
    source: kind === 'rule' ? ('rule' as const) : ('schedule' as const),
    ruleId: kind === 'rule' ? ownerId : null,
    causedBy: run.event.id,
    metadata: { runId: run.id, ...(kind === 'job' ? { jobId: ownerId } : {}) },
    once: `${nameOf(run)}.${run.tries}`,
  };
  const event = eventDocument(run);
  const literals = eventEnvironment(run.event, run.files);
  const outside = run.rules.includes(OUTSIDE);
  if (step.type === 'command') {
    return {
      ...common,
      prompt: stepWords(step),
      agent: null,
      priority: 0,
      timeoutMs: step.timeout_ms,
      launch: { event, env: { ...step.env }, literals, command: [...step.command], outside },
    };
  }
  const { prompt, agent, priority, timeout_minutes: minutes } = step;
  // Absent in runs that an earlier version noted.
  const { verify: command = null, verify_rounds: rounds = null } = step as Partial<typeof step>;
  return {
    ...common,
    prompt,
    agent,
    priority,
    ...(minutes === null ? {} : { timeoutMs: Math.round(minutes * 60_000) }),
    launch: {
      event,
      env: { ...step.env },
      literals,
      outside,
      ...(command === null
        ? {}
        : { verify: { command: [...command], rounds: rounds ?? DEFAULT_VERIFY_ROUNDS } }),
    },
  };
}

/** An agent's own failure is not tried again: that would cost as much as the first time. A command's is. */
function judgeTask(step: TaskStep, taskId: string, end: TaskEnd | undefined): Done {
  if (end === undefined || !isFinal(end.state)) throw new ActionFailure(`${taskId} is not known any more`);
  if (end.state === 'cancelled') throw new RunEnded('cancelled', `${taskId} was cancelled`);
  if (end.state !== 'completed') {
    const reason = end.error === null ? end.state : `${end.state}: ${end.error}`;
    throw new ActionFailure(`${taskId} ${reason}`, { retryable: step.type === 'command' });
  }
  return { detail: taskId, previous: { taskId, state: end.state, result: end.result } };
}

function performNotify({ run, context }: Performance, step: Extract<Step, { type: 'notify' }>): Done {
  const { message, severity, channel } = step;
  const [kind, id] = splitOwner(run.owner);
  const owner = kind === 'rule' ? { ruleId: id } : { jobId: id };
  const commit = (): void => {
    context.publish(
      {
        type: `notify.${severity}`,
        source: 'automation',
        payload: { message, severity, channel, runId: run.id, ...owner },
        cause: run.event.id,
      },
      run.rules,
    );
    context.db.afterCommit(() => {
      const fields = { ...owner, run: run.id };
      if (severity === 'info') context.log.info(fields, message);
      else context.log.warn(fields, message);
    });
  };
  return { detail: message, commit };
}

function performEmit(
  { run, context }: Performance,
  { topic, payload }: Extract<Step, { type: 'emit' }>,
): Done {
  const commit = (): void => {
    context.publish({ type: topic, source: 'automation', payload, cause: run.event.id }, run.rules);
  };
  return { detail: topic, commit };
}

async function performWebhook(
  { run, context, signal }: Performance,
  step: Extract<Step, { type: 'webhook' }>,
): Promise<Done> {
  const { environment, clock, version } = context;
  const name = step.secret_env;
  const secret = name === null ? null : environment[name];
  if (secret === undefined || secret === '') {
    throw new ActionFailure(`The variable ${name} with the secret is not set in the daemon's environment`);
  }
  // Loaded when it is first needed: few projects send any.
  const { sendWebhook } = await import('../webhook-request.js');
  try {
    const { status } = await sendWebhook(
      {
        url: step.url,
        body: JSON.stringify({ event: eventDocument(run), owner: run.owner, run: run.id }),
        secret,
        delivery: nameOf(run),
        allowPrivate: step.allow_private,
        signal,
      },
      { clock, version },
    );
    return { detail: `answered ${status}` };
  } catch (error) {
    if (!(error instanceof WebhookError)) throw error;
    const afterMs = error.retryAfterMs ?? 0;
    throw new ActionFailure(error.message, { retryable: error.retryable, afterMs, cause: error });
  }
}

async function performGate({ run, context, gateAnswer, signal }: Performance): Promise<Done> {
  const gateId = run.waitsFor ?? '';
  await gateAnswer(gateId);
  if (signal.aborted) throw new RunEnded('cancelled', 'The daemon stops');
  const gate = context.gates.get(gateId);
  if (gate?.state !== 'approved') throw new RunEnded('rejected', `${gateId}: ${whyRejected(gate)}`);
  if (!context.gates.covers(gateId, wordsBehind(run.steps, run.step))) {
    throw new ActionFailure(`${gateId} was approved for something else than what would follow now`);
  }
  return { detail: `${gateId} approved by ${gate.answeredBy ?? 'somebody'}` };
}

function whyRejected(gate: Gate | undefined): string {
  return gate?.state === 'expired' ? 'nobody answered in time' : (gate?.reason ?? 'rejected');
}

async function performBuiltIn(
  { run, context, signal }: Performance,
  { name }: Extract<Step, { type: 'built_in' }>,
): Promise<Done> {
  const action = context.builtIns[name];
  if (action === undefined) throw new ActionFailure(`There is no built-in action ${name}`);
  const { ok, summary, report, data } = await action(signal);
  context.writeOutcome(run.id, { stdout: report, result: data });
  if (!ok) throw new ActionFailure(summary);
  return { detail: summary, previous: { taskId: null, state: 'completed', result: report } };
}

/** What follows a gate, in words that hide nothing. */
export function wordsBehind(steps: readonly Step[], gateStep: number): string {
  const behind = steps.slice(gateStep + 1);
  return behind
    .map((step, index) => (behind.length === 1 ? '' : `${index + 1}. `) + stepWords(step))
    .join('\n');
}
