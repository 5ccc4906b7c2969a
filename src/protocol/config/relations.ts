import { nearest } from '../nearest.js';
import { DEFAULT_RESERVATION_USD } from '../spend.js';
import { BUILT_IN_ACTIONS, isBuiltInAction } from './action-schema.js';
import { cronNeverFires, cronProblem } from './cron-expression.js';
import type { Finding } from './document.js';
import { isPresetAgent, PRESET_AGENTS } from './preset-agents.js';
import type { ConfigPath } from './problems.js';
import { looksRandom, namesSecret } from './secrets.js';

type Json = Record<string, unknown>;

export interface Relations {
  errors: Finding[];
  warnings: Finding[];
}

/**
 * What one place of the file says about another. Works on the file's own value, whatever it holds, so that these
 * problems are told together with those of the schema.
 */
export function checkRelations(value: unknown): Relations {
  const found: Relations = { errors: [], warnings: [] };
  const root = object(value);
  const jobs = list(object(root['schedule'])['jobs']).map(object);
  const rules = list(root['rules']).map(object);
  twice(
    jobs.map((job) => job['id'] ?? job['name']),
    (index) => ['schedule', 'jobs', index, 'id' in object(jobs[index]) ? 'id' : 'name'],
    found,
  );
  twice(
    rules.map((rule) => rule['id']),
    (index) => ['rules', index, 'id'],
    found,
  );
  twice(
    list(object(root['webhook'])['endpoints']).map((one) => object(one)['path']),
    (index) => ['webhook', 'endpoints', index, 'path'],
    found,
  );
  checkJobs(jobs, object(root['actions']), found);
  checkAgents(root, jobs, rules, found);
  checkFallbacks(root, found);
  checkBudget(object(root['budget']), found);
  checkApprovals(object(root['agents']), found);
  checkTriggers(root, rules, found);
  checkSecretPlaces(value, [], found);
  return found;
}

function object(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function twice(ids: unknown[], pathOf: (index: number) => ConfigPath, found: Relations): void {
  const seen = new Set<unknown>();
  for (const [index, id] of ids.entries()) {
    if (typeof id === 'string' && seen.has(id)) {
      found.errors.push({ path: pathOf(index), message: 'is used twice; every name must be unique' });
    }
    seen.add(id);
  }
}

function checkJobs(jobs: Json[], actions: Json, found: Relations): void {
  for (const [index, job] of jobs.entries()) {
    const path = ['schedule', 'jobs', index];
    const { action } = job;
    if (
      typeof action === 'string' &&
      action !== '' &&
      !isBuiltInAction(action) &&
      !Object.hasOwn(actions, action)
    ) {
      const known = [...BUILT_IN_ACTIONS, ...Object.keys(actions)];
      const near = nearest(action, known);
      found.errors.push({
        path: [...path, 'action'],
        message: 'unknown action',
        remedy:
          near === undefined
            ? `there is ${known.join(', ')}; add others to \`actions\``
            : `did you mean "${near}"?`,
      });
    }
    warnAboutCron(job['cron'], [...path, 'cron'], found);
  }
}

function warnAboutCron(cron: unknown, path: ConfigPath, found: Relations): void {
  if (typeof cron === 'string' && cronProblem(cron) === undefined && cronNeverFires(cron)) {
    found.warnings.push({ path, message: 'never fires: no year has this date' });
  }
}

function defaultAgent(root: Json): string {
  return typeof root['default_agent'] === 'string' ? root['default_agent'] : 'claude';
}

function knownAgents(root: Json): string[] {
  return [...new Set([...Object.keys(object(root['agents'])), ...PRESET_AGENTS])];
}

function checkAgents(root: Json, jobs: Json[], rules: Json[], found: Relations): void {
  const agents = object(root['agents']);
  const name = defaultAgent(root);
  const known = knownAgents(root);
  if (!known.includes(name)) {
    found.errors.push({
      path: ['default_agent'],
      message: 'there is no such agent in `agents`',
      ...suggest(name, known),
    });
    return;
  }
  // A name that is no agent's is a sub-agent of claude, where claude is the default.
  const subAgents =
    (object(agents[name])['provider'] ?? (isPresetAgent(name) ? name : 'claude')) === 'claude';
  const places: [ConfigPath, unknown][] = [
    ...Object.entries(object(root['actions'])).map(([key, action]): [ConfigPath, unknown] => [
      ['actions', key],
      action,
    ]),
    ...jobs.map((job, index): [ConfigPath, unknown] => [
      ['schedule', 'jobs', index, 'action'],
      job['action'],
    ]),
    ...rules.flatMap((rule, index): [ConfigPath, unknown][] => [
      [['rules', index, 'action'], rule['action']],
      ...list(rule['actions']).map((one, at): [ConfigPath, unknown] => [
        ['rules', index, 'actions', at],
        one,
      ]),
    ]),
  ];
  for (const [path, action] of places) {
    const { agent } = object(action);
    if (typeof agent !== 'string' || agent === '' || known.includes(agent)) continue;
    const near = suggest(agent, known);
    const finding = { path: [...path, 'agent'], ...near };
    if (!subAgents) found.errors.push({ ...finding, message: 'there is no such agent in `agents`' });
    else if (near.close)
      found.warnings.push({ ...finding, message: 'is no agent of `agents`, so a sub-agent of claude' });
  }
}

/** Every agent that takes over for another one is there, and none of them takes over for itself in the end. */
function checkFallbacks(root: Json, found: Relations): void {
  const agents = object(root['agents']);
  const nextOf = (name: string): unknown => object(agents[name])['fallback'];
  const known = knownAgents(root);
  for (const name of Object.keys(agents)) {
    const next = nextOf(name);
    if (typeof next !== 'string') continue;
    const path = ['agents', name, 'fallback'];
    if (!known.includes(next)) {
      found.errors.push({ path, message: 'there is no such agent in `agents`', ...suggest(next, known) });
    } else if (leadsBack(name, nextOf)) {
      const remedy = 'end the chain: take `fallback` away from one of its agents';
      found.errors.push({ path, message: 'leads back to the agent itself', remedy });
    } else {
      const useless = neverTakesOver(agents, name, next);
      if (useless !== undefined) found.warnings.push({ path, ...useless });
    }
  }
}

/** Why an agent never takes over for another one, though it is to; undefined where it does. */
function neverTakesOver(
  agents: Json,
  name: string,
  next: string,
): Pick<Finding, 'message' | 'remedy'> | undefined {
  const asks = (one: string): boolean => object(agents[one])['approvals'] === 'gate';
  if (accountOf(name, agents) === accountOf(next, agents))
    return {
      message: 'never takes over: it has the same provider and program, so it pauses at the same time',
      remedy: 'name an agent of another provider or program',
    };
  if (asks(name) && !asks(next))
    return {
      message: 'never takes over: this agent asks before it acts (`approvals`), and that one asks nobody',
      remedy: 'name an agent of claude with `"approvals": "gate"`',
    };
  return undefined;
}

/** What shares its limits, as `pauseKey` of the supervisor has it. */
function accountOf(name: string, agents: Json): string {
  const { provider = isPresetAgent(name) ? name : 'claude', program, command } = object(agents[name]);
  const runs = provider === 'command' ? list(command)[0] : (program ?? provider);
  return JSON.stringify([provider, runs]);
}

function leadsBack(name: string, nextOf: (name: string) => unknown): boolean {
  const passed = new Set<unknown>();
  for (let next = nextOf(name); typeof next === 'string' && !passed.has(next); next = nextOf(next)) {
    if (next === name) return true;
    passed.add(next);
  }
  return false;
}

function checkBudget(budget: Json, found: Relations): void {
  const perTask = budget['per_task_usd'];
  for (const key of ['per_task_usd', 'per_day_usd', 'per_rule_day_usd']) {
    if (budget[key] !== 0) continue;
    const remedy = 'set it to null for no bound';
    found.warnings.push({
      path: ['budget', key],
      message: 'lets no task begin whose agent costs money',
      remedy,
    });
  }
  for (const key of ['per_day_usd', 'per_rule_day_usd']) {
    const bound = budget[key];
    if (typeof bound !== 'number' || bound === 0) continue;
    const path = ['budget', key];
    if (typeof perTask !== 'number' && bound < DEFAULT_RESERVATION_USD) {
      const remedy = 'set per_task_usd, else one task at a time reserves all of it';
      found.warnings.push({
        path,
        message: `is less than the $${DEFAULT_RESERVATION_USD} that a task reserves`,
        remedy,
      });
    } else if (typeof perTask === 'number' && bound < perTask) {
      const remedy = 'one task at a time reserves all of it';
      found.warnings.push({ path, message: 'is less than per_task_usd', remedy });
    }
  }
}

/** Only claude asks in a way that can be answered. */
function checkApprovals(agents: Json, found: Relations): void {
  for (const [name, value] of Object.entries(agents)) {
    const { provider = 'claude', approvals, permission_mode: mode } = object(value);
    if (approvals !== 'gate') continue;
    if (provider !== 'claude') {
      found.errors.push({
        path: ['agents', name, 'approvals'],
        message: 'only agents of the provider claude can ask for permission',
        remedy: 'leave it out; what this agent may do is set in its own configuration',
      });
    } else if (mode === 'bypassPermissions') {
      found.warnings.push({
        path: ['agents', name, 'approvals'],
        message: 'asks for nothing: `permission_mode` lets the agent do everything',
        remedy: 'take another `permission_mode`, such as "default"',
      });
    }
  }
}

function suggest(name: string, known: string[]): { remedy: string; close: boolean } {
  const near = nearest(name, known);
  if (near !== undefined) return { remedy: `did you mean "${near}"?`, close: true };
  return { remedy: known.length === 0 ? 'add it to `agents`' : `there is ${known.join(', ')}`, close: false };
}

function checkTriggers(root: Json, rules: Json[], found: Relations): void {
  const watch = object(root['watch']);
  const watching = watch['enabled'] !== false && list(watch['paths']).length > 0;
  for (const [index, rule] of rules.entries()) {
    const triggers: [ConfigPath, Json][] = [
      [['rules', index, 'trigger'], object(rule['trigger'])],
      ...list(rule['triggers']).map((one, at): [ConfigPath, Json] => [
        ['rules', index, 'triggers', at],
        object(one),
      ]),
    ];
    for (const [path, trigger] of triggers) {
      if (trigger['type'] === 'schedule') warnAboutCron(trigger['cron'], [...path, 'cron'], found);
      if (trigger['type'] === 'file_change' && !watching && rule['enabled'] !== false) {
        found.warnings.push({
          path,
          message: 'never fires: no files are watched',
          remedy: 'name them in `watch.paths`',
        });
      }
    }
  }
}

const REMEDY = 'the file holds names of environment variables, never their values';

/** Random values where the names of secrets belong, and values of variables that are made to hold secrets. */
function checkSecretPlaces(value: unknown, path: ConfigPath, found: Relations): void {
  if (typeof value === 'string') {
    const key = path.at(-1);
    if (typeof key !== 'string') return;
    const held = path.at(-2) === 'env' ? isSecretValue(key, value) : key.endsWith('_env') && isNoName(value);
    if (held) found.errors.push({ path, secret: true, message: 'seems to hold a secret', remedy: REMEDY });
  } else if (typeof value === 'object' && value !== null) {
    const entries = Array.isArray(value) ? value.entries() : Object.entries(value);
    for (const [key, child] of entries) checkSecretPlaces(child, [...path, key], found);
  }
}

function isSecretValue(name: string, value: string): boolean {
  if (value.includes('${')) return false;
  return looksRandom(value) || (namesSecret(name) && value.length >= 8);
}

function isNoName(value: string): boolean {
  return looksRandom(value) && !/^[A-Z_][A-Z0-9_]*$/.test(value);
}
