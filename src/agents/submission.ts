import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { AiwgdError } from '../protocol/errors.js';
import type { SubmitParams } from '../protocol/method-types.js';
import type { NewTask } from '../tasks/task-store.js';
import type { AgentCatalogue } from './agent-catalogue.js';

/** A task as it is handed to the supervisor. */
export interface Submission extends SubmitParams {
  ruleId?: string | null;
  /** Id of the event or task that brings it about. */
  causedBy?: string | null;
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
} as const;

/** Checks a submission and fills in what it leaves open. Throws INVALID_PARAMS with the reason. */
export function newTask(
  submission: Submission,
  context: { catalogue: AgentCatalogue; projectRoot: string; actionTimeoutMs: number; now: number },
): NewTask {
  const given = { ...DEFAULTS, ...submission };
  const { prompt, agent, delayMs, retries } = given;
  checkPrompt(prompt);
  const resolved = context.catalogue.resolve(agent);
  if (resolved === undefined) throw invalid(context.catalogue.describeUnknown(agent));
  // A prompt that the agent cannot take is refused now, not after its turn has come.
  resolved.agent.provider.prepare({ prompt, subAgent: resolved.subAgent, resume: null });
  return {
    prompt,
    agent,
    priority: given.priority,
    timeoutMs: given.timeoutMs === undefined ? context.actionTimeoutMs : given.timeoutMs,
    key: given.key,
    runAt: delayMs > 0 ? context.now + delayMs : null,
    waitReason: delayMs > 0 ? 'delay' : null,
    maxAttempts: Math.max(given.maxAttempts, retries + 1),
    retries,
    cwd: folder(given.cwd, context.projectRoot),
    metadata: given.metadata,
    source: given.source,
    ruleId: given.ruleId,
    causedBy: given.causedBy,
  };
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
