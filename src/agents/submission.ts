import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { AiwgdError } from '../protocol/errors.js';
import type { SubmitParams } from '../protocol/method-types.js';
import { DEFAULT_VERIFY_ROUNDS } from '../protocol/task.js';
import type { NewTask, TaskLaunch } from '../tasks/task-store.js';
import type { AgentCatalogue } from './agent-catalogue.js';
import { COMMAND_AGENT } from './command-task.js';

/** A task as it is handed to the supervisor. */
export interface Submission extends Omit<SubmitParams, 'resume' | 'verify' | 'verifyRounds'> {
  ruleId?: string | null;
  /** Id of the event or task that brings it about. */
  causedBy?: string | null;
  /** A name under which it is submitted once for ever. */
  once?: string | null;
  conversation?: string | null;
  /** Id of a task whose conversation it is to go on. */
  resumes?: string | null;
  /** What goes along with it; with a `command` it runs that in place of an agent, and its prompt is only shown. */
  launch?: TaskLaunch | null;
}

const DEFAULTS = {
  agent: null,
  priority: 0,
  key: null,
  delayMs: 0,
  retries: 0,
  maxAttempts: 3,
  cwd: null,
  metadata: {},
  source: 'rpc',
  ruleId: null,
  causedBy: null,
  once: null,
  launch: null,
  conversation: null,
  resumes: null,
} as const;

/** Checks a submission and fills in what it leaves open. Throws INVALID_PARAMS with the reason. */
export function newTask(
  submission: Submission,
  context: { catalogue: AgentCatalogue; projectRoot: string; actionTimeoutMs: number; now: number },
): NewTask {
  const given = { ...DEFAULTS, ...submission };
  const { prompt, delayMs, retries, launch } = given;
  checkPrompt(prompt);
  if (launch !== null) checkLaunch(launch);
  return {
    prompt,
    agent: launch?.command === undefined ? checkedAgent(given, context.catalogue) : commandAgent(given.agent),
    priority: given.priority,
    timeoutMs: given.timeoutMs === undefined ? context.actionTimeoutMs : given.timeoutMs,
    key: given.key,
    once: given.once,
    runAt: delayMs > 0 ? context.now + delayMs : null,
    waitReason: delayMs > 0 ? 'delay' : null,
    maxAttempts: Math.max(given.maxAttempts, retries + 1) + roundsOf(given, context.catalogue),
    retries,
    cwd: folder(given.cwd, context.projectRoot),
    metadata: given.metadata,
    source: given.source,
    ruleId: given.ruleId,
    causedBy: given.causedBy ?? given.cause ?? null,
    launch: given.source === 'messaging' ? { ...launch, outside: true } : launch,
    conversation: given.conversation,
    resumes: given.resumes,
  };
}

/** What is decided when its turn has come. */
const NOTHING_MORE = { resume: null, maxBudgetUsd: null, baseline: null, outside: false, allowed: [] };

/** A prompt that the agent cannot take is refused now, not after its turn has come. */
function checkedAgent(
  { agent, prompt }: { agent: string | null; prompt: string },
  catalogue: AgentCatalogue,
): string | null {
  const resolved = catalogue.resolve(agent);
  if (resolved === undefined) throw invalid(catalogue.describeUnknown(agent));
  resolved.agent.provider.prepare({ prompt, subAgent: resolved.subAgent, ...NOTHING_MORE });
  return agent;
}

/** Attempts that may follow because the work of earlier ones was not accepted. */
function roundsOf(
  { agent, launch }: Pick<Submission, 'agent' | 'launch'>,
  catalogue: AgentCatalogue,
): number {
  if (launch?.command !== undefined) return 0;
  if (launch?.verify !== undefined) return launch.verify.rounds;
  const { verify, verify_rounds: rounds = DEFAULT_VERIFY_ROUNDS } =
    catalogue.resolve(agent ?? null)?.agent.config ?? {};
  return verify ? rounds : 0;
}

function commandAgent(agent: string | null): string {
  if (agent === null) return COMMAND_AGENT;
  throw invalid(`The task names the agent ${JSON.stringify(agent)} and a command; give one of the two`);
}

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/u;

function checkLaunch({ command, verify, env = {}, literals = {} }: TaskLaunch): void {
  if (command !== undefined) checkCommand('command', command);
  if (verify !== undefined) checkCommand('command that judges the work', verify.command);
  for (const [name, value] of Object.entries({ ...env, ...literals })) {
    if (!VARIABLE.test(name))
      throw invalid(`${JSON.stringify(name)} is no name of a variable; use letters, digits and _`);
    if (value.includes('\0')) throw invalid(`The variable ${name} holds a NUL character; remove it`);
  }
}

function checkCommand(what: string, command: readonly string[]): void {
  if ((command[0] ?? '') === '') throw invalid(`The ${what} is empty; give a program and its arguments`);
  if (command.some((argument) => argument.includes('\0')))
    throw invalid(`The ${what} holds a NUL character, which no program can take; remove it`);
}

function checkPrompt(prompt: string): void {
  if (prompt.trim() === '') throw invalid('The prompt is empty; give the text of the task');
  const nul = prompt.indexOf('\0');
  if (nul >= 0) {
    throw invalid(
      `The prompt holds a NUL character at position ${nul}, which no program can take; remove it`,
    );
  }
}

function folder(cwd: string | null, projectRoot: string): string | null {
  if (cwd === null) return null;
  const path = resolve(projectRoot, cwd);
  const fault = whyNoFolder(path);
  if (fault === undefined) return path;
  throw invalid(`The folder ${JSON.stringify(path)} ${fault}; cwd must be an existing folder`);
}

function whyNoFolder(path: string): string | undefined {
  if (path.includes('\0')) return 'does not exist';
  try {
    return statSync(path).isDirectory() ? undefined : 'is a file';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' || code === 'ENOTDIR' ? 'does not exist' : `cannot be used (${code})`;
  }
}

function invalid(message: string): AiwgdError {
  return new AiwgdError('INVALID_PARAMS', message);
}
