import * as v from 'valibot';
import {
  about,
  choice,
  judge,
  literal,
  nullableSetting,
  object,
  oneOf,
  record,
  setting,
  variant,
  wholeNumber,
} from '../schema.js';
import { actionEnv, argv, envName, filled, filledUpTo, interval, minutes, text, topic } from './keys.js';
import {
  argvProblem,
  noTemplateProblem,
  noTemplatesProblem,
  payloadProblem,
  templateProblem,
} from './templates.js';

const env = setting(
  actionEnv,
  {},
  "Variables of the action; ${NAME} in a value stands for the daemon's own variable NAME.",
);
const template = v.pipe(filled, judge(templateProblem));
const prompt = about(
  template,
  'What the agent is asked to do; `{{payload.path}}` and the like are filled in from the event.',
);
const jobPrompt = about(
  v.pipe(
    filled,
    judge((value) => noTemplateProblem(value, 'a job has no event')),
  ),
  'What the agent is asked to do.',
);
const task = {
  agent: nullableSetting(filledUpTo(128), 'Name of an agent; null: the default agent.'),
  priority: setting(wholeNumber(-1_000_000, 1_000_000), 0, 'Higher runs first.'),
  timeout_minutes: nullableSetting(minutes, 'Longest run; null: `daemon.action_timeout_minutes`.'),
  env,
};
const verified = {
  verify: nullableSetting(argv, "Program and arguments that judge the work; null: the agent's own `verify`."),
  verify_rounds: nullableSetting(
    wholeNumber(0, 20),
    "How often the work may be mended; null: the agent's own.",
  ),
};
const run = {
  timeout_ms: setting(interval, 600_000, 'The command is ended after this time.'),
  env,
};

const submitTask = object({
  type: v.pipe(
    about(oneOf(['submit_task', 'agent']), 'Queue a task for an agent.'),
    v.transform(() => 'submit_task' as const),
  ),
  prompt,
  ...task,
  ...verified,
  wait: setting(v.boolean(), true, 'Whether the run of the rule lasts until the task has ended.'),
});
const command = object({
  type: about(literal('command'), 'Run a program.'),
  command: about(
    v.pipe(
      argv,
      judge((words) => argvProblem(words)),
    ),
    'The program and its arguments; no shell reads them. Behind a `--` an argument may be `{{payload.path}}` or the like.',
  ),
  ...run,
});
const notify = object({
  type: about(literal('notify'), 'Tell people on the chat platforms.'),
  message: about(template, 'The text; templates are filled in.'),
  severity: setting(oneOf(['info', 'warning', 'critical']), 'info', 'How much it matters.'),
  channel: nullableSetting(filled, 'One platform only: `slack`, `discord` or `telegram`; null: all.'),
});
const webhook = object({
  type: about(literal('webhook'), 'Send the event to a URL.'),
  url: v.pipe(
    v.string(),
    v.check(isHttpUrl, 'must be a URL that begins with https:// or http://'),
    v.metadata({ format: 'uri', description: 'Where to.' }),
  ),
  secret_env: nullableSetting(envName, 'Environment variable with the secret to sign with; null: unsigned.'),
  allow_private: setting(v.boolean(), false, 'Also send to addresses of the own machine and network.'),
});
const emit = object({
  type: about(literal('emit'), 'Publish an event.'),
  topic: about(topic, 'Type of the event.'),
  payload: setting(
    v.pipe(
      record(v.string(), v.unknown()),
      judge((value) => payloadProblem(value)),
    ),
    {},
    'Its payload; templates in strings are filled in.',
  ),
});
const gate = object({
  type: about(literal('gate'), 'Wait for a yes before the actions that follow.'),
  summary: nullableSetting(
    v.pipe(text, judge(templateProblem)),
    'The question; null: made from the actions that follow.',
  ),
  expire_minutes: nullableSetting(minutes, 'Time to answer; null: `gates.expire_minutes`.'),
});

/** One action of a rule. */
export const ruleActionSchema = variant('type', [submitTask, command, notify, webhook, emit, gate]);

const mayBeLeftOut = 'May be left out.';
const jobTask = v.pipe(
  object({
    type: v.optional(about(oneOf(['submit_task', 'agent']), mayBeLeftOut)),
    prompt: jobPrompt,
    ...task,
    ...verified,
  }),
  v.transform((action) => ({ ...action, type: 'submit_task' as const })),
);
const jobCommand = v.pipe(
  object({
    type: v.optional(about(literal('command'), mayBeLeftOut)),
    command: about(
      v.pipe(
        argv,
        judge((words) => noTemplatesProblem(words, 'a job has no event')),
      ),
      'The program and its arguments; no shell reads them.',
    ),
    ...run,
  }),
  v.transform((action) => ({ ...action, type: 'command' as const })),
);

/** An action of a job: a prompt for an agent, or a command. */
export const jobActionSchema = choice([jobTask, jobCommand]);

/** Section `actions`: actions that jobs call by name. */
export const actionsSchema = setting(
  record(
    v.pipe(
      v.string(),
      v.regex(
        /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/,
        'must begin with a letter or digit and go on with letters, digits, _, . or -',
      ),
      v.check((name) => !isBuiltInAction(name), 'is the name of a built-in action'),
    ),
    jobActionSchema,
  ),
  {},
  'Actions that jobs call by name.',
);

/** Actions that need no entry in `actions`. */
export const BUILT_IN_ACTIONS = ['doctor'] as const;

export function isBuiltInAction(name: string): boolean {
  return (BUILT_IN_ACTIONS as readonly string[]).includes(name);
}

function isHttpUrl(value: string): boolean {
  return URL.canParse(value) && /^https?:$/.test(new URL(value).protocol);
}
