import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import { messageOf } from '../protocol/errors.js';
import type { Claim } from '../tasks/task-store.js';
import { providerOf, type ResolvedAgent } from './agent-catalogue.js';
import type { AgentConfig } from './agent-config.js';
import type { AgentProvider } from './agent-provider.js';
import { Attempt } from './attempt.js';
import { AttemptFiles, EVENT_FILE } from './attempt-files.js';
import type { AttemptDeps, AttemptPlan } from './attempt-plan.js';
import { eventText } from './command-task.js';
import { agentEnvironment } from './environment.js';
import { launchVariables } from './launch-variables.js';
import type { QuestionPort } from './ports.js';
import { reapStrays } from './process-tree.js';
import { MAX_TAKEOVERS, type Settlement, settleInterrupted, untouched } from './retry-policy.js';
import type { SurvivorScan } from './survivor-scan.js';
import type { TaskEvents } from './task-events.js';

export interface AttemptContext {
  clock: Clock;
  log: Log;
  scan: SurvivorScan;
  events: TaskEvents;
  /** Undefined where nobody can be asked. */
  questions: QuestionPort | undefined;
  projectRoot: string;
  /** The daemon's environment, from which agents get what is allowed. */
  baseEnvironment: Readonly<Record<string, string | undefined>>;
  attemptFolder: (taskId: string, attempt: number) => string;
}

export interface AttemptSettings {
  /** Time limit of tasks that name none. */
  actionTimeoutMs: number;
  /** From SIGTERM to SIGKILL. */
  killGraceMs: number;
}

/** Launches the attempt that was claimed. Throws a `LaunchRefused`, a `LaunchFault`, or why the agent cannot take the prompt. */
export function launchAttempt(
  claim: Claim,
  { agent, subAgent, input }: ResolvedAgent & { input: string },
  settings: AttemptSettings,
  deps: AttemptContext,
): Attempt {
  const { task, launch } = claim;
  const { projectRoot } = deps;
  const { program, args, env, stdin, staysOpen = false } = agent.provider.prepare({
    prompt: input,
    subAgent,
    resume: task.sessionId,
    maxBudgetUsd: null,
    baseline: claim.baseline,
    outside: launch?.outside ?? false,
    allowed: [],
  });
  const { env: fixed = {}, env_allow: allow = [], ...config } = agent.config;
  const plan = planOf(claim, agent.config, agent.provider, settings, deps);
  const event = eventText(launch?.event);
  return Attempt.launch(
    plan,
    {
      program,
      args,
      stdin,
      staysOpen,
      event,
      env: agentEnvironment({
        base: deps.baseEnvironment,
        allow: [...agent.provider.envFamily, ...allow],
        provider: env,
        fixed: {
          ...fixed,
          ...launch?.literals,
          ...launchVariables(launch?.env ?? {}, deps.baseEnvironment),
        },
        eventFile: event === null ? null : join(plan.folder, EVENT_FILE),
        taskId: task.id,
        attemptId: claim.attemptId,
        projectRoot,
      }),
      cwd: task.cwd ?? projectRoot,
      projectRoot,
      agentName: agent.name,
      agent: config,
    },
    attemptDeps(claim, deps),
  );
}

/**
 * Takes up an attempt that an earlier daemon left, whether it runs or has ended meanwhile. Undefined where it was never
 * launched, where nothing of it can be read any more, and where one daemon after the other went down with it.
 */
export function adoptAttempt(
  claim: Claim,
  settings: AttemptSettings,
  deps: AttemptContext,
): { attempt: Attempt; agentName: string } | undefined {
  const { task, attemptId } = claim;
  if (claim.takeovers >= MAX_TAKEOVERS) return undefined;
  try {
    const folder = deps.attemptFolder(task.id, task.attempt);
    const opened = AttemptFiles.reopen(folder, { attemptId, project: deps.projectRoot });
    if (opened === undefined) return undefined;
    const { agent, agentName, attemptId: recorded } = opened.header;
    const provider = providerOf(agent);
    const attempt =
      provider &&
      Attempt.adopt(
        planOf({ ...claim, attemptId: recorded }, agent, provider, settings, deps),
        opened,
        attemptDeps(claim, deps),
      );
    return attempt && { attempt, agentName };
  } catch (error) {
    deps.log.error({ taskId: task.id, error: messageOf(error) }, 'An attempt cannot be taken over');
    return undefined;
  }
}

/**
 * Decides about a task that an earlier daemon left, and whose attempt cannot be taken up: ends whatever is left of it.
 * What was never launched goes back to the queue as if nothing had been.
 */
export async function withoutAttempt(
  claim: Claim,
  { killGraceMs }: AttemptSettings,
  { clock, projectRoot, scan, log, attemptFolder }: AttemptContext,
  cancelRequested: boolean,
): Promise<Settlement> {
  const { attemptId, task } = claim;
  const lives = scan.mayHaveSurvivors(attemptId);
  if (!lives && !cancelRequested && claim.takeovers < MAX_TAKEOVERS)
    return { kind: 'release', release: untouched(claim, task.error) };
  const left = await reapStrays({
    projectRoot,
    isOurs: (id) => id === attemptId,
    graceMs: killGraceMs,
    clock,
  });
  if (left.length > 0)
    log.error({ taskId: task.id, pids: left }, 'Processes of an interrupted attempt cannot be ended');
  const outputBytes = Math.max(task.outputBytes, outputOf(attemptFolder(task.id, task.attempt)));
  return settleInterrupted({ ...claim, task: { ...task, outputBytes } }, cancelRequested);
}

/** What the attempt has written: its record is gone, its output need not be. */
function outputOf(folder: string): number {
  return statSync(join(folder, 'stdout.log'), { throwIfNoEntry: false })?.size ?? 0;
}

function planOf(
  { task, attemptId, baseline }: Claim,
  config: AgentConfig,
  provider: AgentProvider,
  settings: AttemptSettings,
  deps: AttemptContext,
): AttemptPlan {
  const { stall_minutes: stall, keep_background: keepBackground = false } = config;
  return {
    taskId: task.id,
    attemptId,
    attempt: task.attempt,
    folder: deps.attemptFolder(task.id, task.attempt),
    parser: provider.createParser({ baseline }),
    answerLine: provider.answerLine?.bind(provider),
    ruleId: task.ruleId,
    causedBy: task.causedBy,
    timeoutMs: task.timeoutMs ?? settings.actionTimeoutMs,
    stallMs: stall === undefined || stall === null ? null : stall * 60_000,
    killGraceMs: settings.killGraceMs,
    keepBackground,
  };
}

function attemptDeps({ task }: Claim, { clock, log, scan, events, questions }: AttemptContext): AttemptDeps {
  return { clock, log, scan, questions, onOutput: (sizes) => events.output(task, sizes) };
}
