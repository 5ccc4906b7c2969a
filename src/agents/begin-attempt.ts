import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import { AiwgdError, messageOf } from '../protocol/errors.js';
import type { Claim } from '../tasks/task-store.js';
import { type Agent, type AgentCatalogue, providerOf, type ResolvedAgent } from './agent-catalogue.js';
import type { AgentConfig } from './agent-config.js';
import type { AgentProvider, OutputParser } from './agent-provider.js';
import { Attempt } from './attempt.js';
import { AttemptFiles, EVENT_FILE } from './attempt-files.js';
import type { AttemptHeader } from './attempt-header.js';
import type { AttemptDeps, AttemptPlan } from './attempt-plan.js';
import { attemptPrompt } from './attempt-prompt.js';
import { withCharge } from './charge.js';
import { eventText } from './command-task.js';
import { agentEnvironment, type EnvironmentInput } from './environment.js';
import { launchVariables } from './launch-variables.js';
import { LaunchFault, LaunchRefused } from './launcher.js';
import { chargeOfLeft, endLeft, livesOn } from './left-attempt.js';
import type { QuestionPort, Workspaces } from './ports.js';
import { MAX_TAKEOVERS, type Settlement, settleInterrupted, untouched } from './retry-policy.js';
import type { SurvivorScan } from './survivor-scan.js';
import type { TaskEvents } from './task-events.js';

export interface AttemptContext {
  clock: Clock;
  log: Log;
  scan: SurvivorScan;
  events: TaskEvents;
  projectRoot: string;
  /** The daemon's environment, from which agents get what is allowed. */
  baseEnvironment: Readonly<Record<string, string | undefined>>;
  attemptFolder: (taskId: string, attempt: number) => string;
  /** The model has answered in an attempt; may be told again. */
  onAnswer: (attemptId: string) => void;
  /** Absent where no agent is isolated. */
  workspaces: Workspaces | undefined;
  /** Absent where nobody can be asked. */
  questions: QuestionPort | undefined;
}

/** Who carries out a claim, and on what terms. */
export interface LaunchTerms extends ResolvedAgent {
  input: string;
  asked: Agent | undefined;
  /** What the attempt may cost, and is set aside for it; null for no bound. */
  reservedUsd: number | null;
}

export interface AttemptSettings {
  /** Time limit of tasks that name none. */
  actionTimeoutMs: number;
  /** From SIGTERM to SIGKILL. */
  killGraceMs: number;
}

/** An attempt at work, with what has to be known of it until its task is settled. */
export interface BegunAttempt {
  attempt: Attempt;
  agent: Agent;
  /** Where the agent works. */
  folder: string;
  /** What was set aside for it; null where no budget holds. */
  reservedUsd: number | null;
  /** The agent that the task names, where another one carries it out. */
  asked: Agent | undefined;
}

/** What had to be made or looked up before the launch. */
export interface Prepared {
  folder: string | null;
  /** Rules of permission that a person gave for this task. */
  allowed: readonly string[];
}

const NOTHING_PREPARED: Prepared = { folder: null, allowed: [] };

/**
 * Makes what an attempt needs before its launch: a workspace, say. Undefined where it needs nothing. Rejects with why it
 * can never be launched so (an `AiwgdError` or a `LaunchRefused`), or with a `LaunchFault`.
 */
export function prepareAttempt(
  { task, past }: Claim,
  terms: Pick<LaunchTerms, 'agent' | 'asked'>,
  { workspaces, questions }: AttemptContext,
): Promise<Prepared> | undefined {
  const { config } = terms.agent;
  const isolating = isolatingAgent(terms);
  const isolated = isolating !== undefined;
  const asks = config.approvals === 'gate' && questions !== undefined;
  if (!isolated && !asks) return undefined;
  const prepare = async (): Promise<Prepared> => {
    if (isolated && workspaces === undefined)
      throw new LaunchRefused('There is nothing here that makes worktrees', 'bad_arguments');
    const place =
      isolated &&
      (await workspaces?.prepare({
        owner: past?.root ?? task.id,
        conversation: task.conversation,
        cwd: task.cwd,
        options: isolating.config.worktree ?? NO_COPIES,
      }));
    const allowed = asks ? await questions.allowed(task.id) : [];
    return { folder: place ? place.folder : null, allowed };
  };
  return prepare().catch((error: unknown) => {
    const final = error instanceof AiwgdError && error.code === 'INVALID_PARAMS';
    throw final || error instanceof LaunchRefused ? error : new LaunchFault(error);
  });
}

/**
 * The agent for whose sake the work is done in a worktree, undefined where it is not: the one that the task names, or
 * else the one that stands in for it.
 */
export function isolatingAgent({ agent, asked }: Pick<LaunchTerms, 'agent' | 'asked'>): Agent | undefined {
  return [asked, agent].find((one) => one?.config.isolation === 'worktree');
}

const NO_COPIES = { submodules: true, untracked: 'none', copy: [] } as const;

/** Launches the attempt that was claimed. Throws a `LaunchRefused`, a `LaunchFault`, or why the agent cannot take the prompt. */
export function launchAttempt(
  claim: Claim,
  terms: LaunchTerms,
  settings: AttemptSettings,
  deps: AttemptContext,
  prepared: Prepared = NOTHING_PREPARED,
): BegunAttempt {
  const { task, launch } = claim;
  const { projectRoot } = deps;
  const { agent, subAgent, input, reservedUsd } = terms;
  const prepare = agent.provider.prepare({
    ...attemptPrompt(claim, agent.provider, input),
    subAgent,
    maxBudgetUsd: reservedUsd,
    baseline: claim.baseline,
    outside: task.outside,
    allowed: prepared.allowed,
  });
  const { program, args, stdin, staysOpen = false } = prepare;
  const { env: _, env_allow: __, ...config } = agent.config;
  const plan = planOf(claim, agent.config, agent.provider, settings, deps);
  const event = eventText(launch?.event);
  const eventFile = event === null ? null : join(plan.folder, EVENT_FILE);
  const folder = prepared.folder ?? task.cwd ?? projectRoot;
  const request = {
    program,
    args,
    stdin,
    staysOpen,
    event,
    cwd: folder,
    projectRoot,
    reservedUsd,
    env: environmentOf(claim, agent, { provider: prepare.env, eventFile }, deps),
    agentName: agent.name,
    agent: config,
  };
  const attempt = Attempt.launch(plan, request, attemptDeps(claim, deps));
  return { attempt, agent, folder, reservedUsd, asked: terms.asked };
}

function environmentOf(
  { task, launch, attemptId }: Claim,
  { config, provider: { envFamily } }: Agent,
  { provider, eventFile }: Pick<EnvironmentInput, 'provider' | 'eventFile'>,
  { baseEnvironment: base, projectRoot }: AttemptContext,
): Record<string, string> {
  const { env = {}, env_allow = [] } = config;
  const ofTask = launchVariables(launch?.env ?? {}, base);
  return agentEnvironment({
    base,
    allow: [...envFamily, ...env_allow],
    provider,
    fixed: { ...env, ...launch?.literals, ...ofTask },
    eventFile,
    taskId: task.id,
    attemptId,
    projectRoot,
  });
}

/**
 * Takes up an attempt that an earlier daemon left, whether it runs or has ended meanwhile. Undefined where it was never
 * launched, where nothing of it can be read any more, and where one daemon after the other went down with it.
 */
export function adoptAttempt(
  claim: Claim,
  catalogue: AgentCatalogue,
  settings: AttemptSettings,
  deps: AttemptContext,
): BegunAttempt | undefined {
  const { task, attemptId } = claim;
  if (claim.takeovers >= MAX_TAKEOVERS) return undefined;
  try {
    const attemptFolder = deps.attemptFolder(task.id, task.attempt);
    const opened = AttemptFiles.reopen(attemptFolder, { attemptId, project: deps.projectRoot });
    if (opened === undefined) return undefined;
    const { agent: recorded, agentName: name, attemptId: ownId, folder, reservedUsd } = opened.header;
    const provider = providerOf(recorded);
    const attempt = Attempt.adopt(
      planOf({ ...claim, attemptId: ownId }, recorded, provider, settings, deps),
      opened,
      attemptDeps(claim, deps),
    );
    // The record holds no variables.
    const { env, env_allow } = catalogue.named(name)?.config ?? {};
    const agent = { name, config: { ...recorded, env, env_allow }, provider };
    return {
      attempt,
      agent,
      folder: folder ?? task.cwd ?? deps.projectRoot,
      reservedUsd: reservedUsd ?? null,
      asked: catalogue.resolve(task.agent)?.agent,
    };
  } catch (error) {
    deps.log.error({ taskId: task.id, error: messageOf(error) }, 'An attempt cannot be taken over');
    return undefined;
  }
}

/**
 * Decides about a task that an earlier daemon left, and whose attempt cannot be taken up: ends whatever is left of it, and
 * counts what it has cost. What was never launched goes back to the queue as if nothing had been.
 */
export async function withoutAttempt(
  claim: Claim,
  settings: AttemptSettings,
  deps: AttemptContext,
  cancelRequested: boolean,
): Promise<Settlement> {
  const { attemptId, task } = claim;
  const { projectRoot, scan, log } = deps;
  const left = { taskId: task.id, attemptId, projectRoot };
  if (!livesOn(left, scan) && !cancelRequested && claim.takeovers < MAX_TAKEOVERS)
    return { kind: 'release', release: untouched(claim, task.error) };
  await endLeft(left, settings.killGraceMs, deps);
  const folder = deps.attemptFolder(task.id, task.attempt);
  const outputBytes = Math.max(task.outputBytes, outputOf(folder));
  const settlement = settleInterrupted({ ...claim, task: { ...task, outputBytes } }, cancelRequested);
  const parserFor = ({ agent }: AttemptHeader): OutputParser =>
    planOf(claim, agent, providerOf(agent), settings, deps).parser;
  return withCharge(settlement, await chargeOfLeft(left, folder, parserFor, log));
}

/** What the attempt has written: its record is gone, its output need not be. */
function outputOf(folder: string): number {
  return statSync(join(folder, 'stdout.log'), { throwIfNoEntry: false })?.size ?? 0;
}

function planOf(
  claim: Claim,
  config: AgentConfig,
  provider: AgentProvider,
  settings: AttemptSettings,
  deps: AttemptContext,
): AttemptPlan {
  const { task, attemptId, baseline } = claim;
  const { stall_minutes: stall, keep_background: keepBackground = false } = config;
  const { resume: resumed } = attemptPrompt(claim, provider, '');
  return {
    taskId: task.id,
    attemptId,
    attempt: task.attempt,
    folder: deps.attemptFolder(task.id, task.attempt),
    parser: provider.createParser({ baseline, resumed, now: () => deps.clock.now() }),
    answerLine: provider.answerLine?.bind(provider),
    ruleId: task.ruleId,
    causedBy: task.causedBy,
    timeoutMs: task.timeoutMs ?? settings.actionTimeoutMs,
    stallMs: stall === undefined || stall === null ? null : stall * 60_000,
    killGraceMs: settings.killGraceMs,
    keepBackground,
  };
}

function attemptDeps(
  { task, attemptId }: Claim,
  { clock, log, scan, events, questions, onAnswer }: AttemptContext,
): AttemptDeps {
  return {
    clock,
    log,
    scan,
    questions,
    onOutput: (sizes) => events.output(task, sizes),
    onProgress: (progress) => {
      if (progress.turns > 0) onAnswer(attemptId);
      events.progress(task, progress);
    },
  };
}
