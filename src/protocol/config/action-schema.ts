import { z } from 'zod';
import { actionEnv, argv, envName, filled, milliseconds, minutes, text, topic } from './keys.js';

const prompt = filled.describe(
  'What the agent is asked to do; `{{payload.path}}` and the like are filled in from the event.',
);
const jobPrompt = filled.describe('What the agent is asked to do.');
const task = {
  agent: filled.max(128).nullable().default(null).describe('Name of an agent; null: the default agent.'),
  priority: z.int().min(-1_000_000).max(1_000_000).default(0).describe('Higher runs first.'),
  timeout_minutes: minutes
    .nullable()
    .default(null)
    .describe('Longest run; null: `daemon.action_timeout_minutes`.'),
  env: actionEnv.default({}),
};
const run = {
  command: argv,
  timeout_ms: milliseconds.min(1).default(600_000).describe('The command is ended after this time.'),
  env: actionEnv.default({}),
};

const submitTask = z.strictObject({
  type: z
    .enum(['submit_task', 'agent'])
    .describe('Queue a task for an agent.')
    .transform(() => 'submit_task' as const),
  prompt,
  ...task,
  wait: z.boolean().default(true).describe('Whether the run of the rule lasts until the task has ended.'),
});
const command = z.strictObject({ type: z.literal('command').describe('Run a program.'), ...run });
const notify = z.strictObject({
  type: z.literal('notify').describe('Tell people on the chat platforms.'),
  message: filled.describe('The text; templates are filled in.'),
  severity: z.enum(['info', 'warning', 'critical']).default('info').describe('How much it matters.'),
  channel: filled
    .nullable()
    .default(null)
    .describe('One platform only: `slack`, `discord` or `telegram`; null: all.'),
});
const webhook = z.strictObject({
  type: z.literal('webhook').describe('Send the event to a URL.'),
  url: z
    .url({ protocol: /^https?$/, error: 'must be a URL that begins with https:// or http://' })
    .describe('Where to.'),
  secret_env: envName
    .nullable()
    .default(null)
    .describe('Environment variable with the secret to sign with; null: unsigned.'),
  allow_private: z
    .boolean()
    .default(false)
    .describe('Also send to addresses of the own machine and network.'),
});
const emit = z.strictObject({
  type: z.literal('emit').describe('Publish an event.'),
  topic: topic.describe('Type of the event.'),
  payload: z
    .record(z.string(), z.unknown())
    .default({})
    .describe('Its payload; templates in strings are filled in.'),
});
const gate = z.strictObject({
  type: z.literal('gate').describe('Wait for a yes before the actions that follow.'),
  summary: text.nullable().default(null).describe('The question; null: made from the actions that follow.'),
  expire_minutes: minutes.nullable().default(null).describe('Time to answer; null: `gates.expire_minutes`.'),
});

/** One action of a rule. */
export const ruleActionSchema = z
  .discriminatedUnion('type', [submitTask, command, notify, webhook, emit, gate])
  .meta({ id: 'RuleAction' });

const jobTask = z
  .strictObject({
    type: z.enum(['submit_task', 'agent']).optional().describe('May be left out.'),
    prompt: jobPrompt,
    ...task,
  })
  .transform((action) => ({ ...action, type: 'submit_task' as const }));
const jobCommand = z
  .strictObject({ type: z.literal('command').optional().describe('May be left out.'), ...run })
  .transform((action) => ({ ...action, type: 'command' as const }));

/** An action of a job: a prompt for an agent, or a command. */
export const jobActionSchema = z.union([jobTask, jobCommand]).meta({ id: 'JobAction' });

/** Section `actions`: actions that jobs call by name. */
export const actionsSchema = z
  .record(
    z
      .string()
      .regex(
        /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/,
        'must begin with a letter or digit and go on with letters, digits, _, . or -',
      )
      .refine((name) => !isBuiltInAction(name), 'is the name of a built-in action'),
    jobActionSchema,
  )
  .default({})
  .describe('Actions that jobs call by name.');

/** Actions that need no entry in `actions`. */
export const BUILT_IN_ACTIONS = ['doctor'] as const;

export function isBuiltInAction(name: string): boolean {
  return (BUILT_IN_ACTIONS as readonly string[]).includes(name);
}
