import { z } from 'zod';
import { isTopic } from '../topic.js';
import { ruleActionSchema } from './action-schema.js';
import {
  argv,
  cron,
  filled,
  id,
  MAX_SECONDS,
  milliseconds,
  pathGlob,
  regularExpression,
  regularExpressionProblem,
  text,
  timezone,
  topicGlob,
} from './keys.js';
import { FILE_EVENTS } from './source-sections.js';

const isObject = ({ value }: { value: unknown }): boolean => typeof value === 'object' && value !== null;

const fileChange = z.strictObject({
  type: z.literal('file_change').describe('A watched file changed.'),
  pattern: pathGlob.describe('Glob over paths relative to the project, such as `src/**/*.ts`.'),
  events: z
    .array(z.enum(FILE_EVENTS))
    .min(1)
    .default([...FILE_EVENTS])
    .describe('Which changes count.'),
});
const scheduled = z.strictObject({
  type: z.literal('schedule').describe('A time has come.'),
  cron,
  timezone: timezone.nullable().default(null).describe("Time zone of `cron`; null: the host's."),
});
const onEvent = z.strictObject({
  type: z.literal('event').describe('An event was published.'),
  topic: topicGlob.describe('Glob over topics, such as `task:failed` or `build.**`.'),
});
const TRIGGER_TYPES = ['file_change', 'schedule', 'event'];
const eventType = z.strictObject({
  type: z
    .string()
    .refine(
      (value) => isTopic(value) && !TRIGGER_TYPES.includes(value),
      'must be "file_change", "schedule", "event" or the type of an event, such as "file.modify"',
    )
    .describe('The type of an event, such as `file.modify`.'),
  source: filled.nullable().default(null).describe('Only events of this source; null: of all.'),
  pattern: regularExpression.nullable().default(null).describe('Regular expression over `type:source`.'),
});

/** What sets a rule off. An event type in place of a trigger type is the older form; it comes out as `event_type`. */
const triggerSchema = z
  .union([
    eventType.transform(({ type, ...rest }) => ({ type: 'event_type' as const, event_type: type, ...rest })),
    z.discriminatedUnion('type', [fileChange, scheduled, onEvent]),
  ])
  .meta({ id: 'Trigger' });

const FIELD_OPERATORS = [
  'equals',
  'not_equals',
  'contains',
  'matches',
  'gt',
  'gte',
  'lt',
  'lte',
  'exists',
  'not_exists',
] as const;
export type FieldOperator = (typeof FIELD_OPERATORS)[number];
const SHORT_OPERATORS: Record<string, FieldOperator> = { eq: 'equals', neq: 'not_equals' };

const operator = z
  .enum([...FIELD_OPERATORS, 'eq', 'neq'])
  .describe('How the field is compared with `value`.')
  .transform((name) => (SHORT_OPERATORS[name] ?? name) as FieldOperator);

function isOperator(name: string): boolean {
  return (FIELD_OPERATORS as readonly string[]).includes(name) || Object.hasOwn(SHORT_OPERATORS, name);
}

/** What is wrong with the `value` of a field condition, given its operator as it stands in the file. */
function fieldValueProblem(name: unknown, value: unknown): string | undefined {
  if (typeof name !== 'string' || !isOperator(name)) return undefined;
  if (name === 'exists' || name === 'not_exists') {
    // Older files say `true` here.
    return [undefined, null, true].some((one) => one === value)
      ? undefined
      : `has no meaning with "${name}"; leave it out`;
  }
  if (value === undefined) return 'is missing';
  if (['gt', 'gte', 'lt', 'lte'].includes(name)) {
    return typeof value === 'number' ? undefined : `must be a number to be compared with "${name}"`;
  }
  if (name === 'matches') {
    return typeof value === 'string' ? regularExpressionProblem(value) : 'must be a regular expression';
  }
  return undefined;
}

const field = z
  .strictObject({
    type: z.literal('field').optional().describe('A field of the event is compared; may be left out.'),
    field: filled.max(256).describe('Path in the event, such as `payload.path`.'),
    operator,
    value: z
      .union([z.string(), z.number(), z.boolean(), z.null()])
      .optional()
      .describe('What to compare with.'),
  })
  .refine(({ operator: name, value }) => fieldValueProblem(name, value) === undefined, {
    path: ['value'],
    error: ({ input }) => {
      const { operator: name, value } = input as Record<string, unknown>;
      return fieldValueProblem(name, value);
    },
    when: isObject,
  })
  .transform((condition) => ({ ...condition, type: 'field' as const, value: condition.value ?? null }));

const interval = milliseconds.min(1);
const always = z.strictObject({ type: z.literal('always').describe('Always true.') });
const debounce = z.strictObject({
  type: z.literal('debounce').describe('Wait until it is quiet; the actions see all the paths.'),
  interval_ms: interval.describe('How long it has to be quiet.'),
});
const throttle = z.strictObject({
  type: z.literal('throttle').describe('At most once in a time.'),
  interval_ms: interval.describe('The time.'),
});
const shell = z.strictObject({
  type: z.literal('shell').describe('A command says yes by exit code 0; it gets the event as JSON on stdin.'),
  command: argv,
  timeout_ms: interval.default(10_000).describe('No answer in this time is a no.'),
});
const clockTime = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'must be a time of day, such as "22:00"');
const time = z
  .strictObject({
    type: z.literal('time').describe('The time of day and the day of the week.'),
    after: clockTime.nullable().default(null).describe('From this time of day on.'),
    before: clockTime
      .nullable()
      .default(null)
      .describe('Before this time of day; earlier than `after`: of the next day.'),
    weekdays: z
      .array(z.enum(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']))
      .min(1)
      .nullable()
      .default(null)
      .describe('On these days; null: on all.'),
    timezone: timezone.nullable().default(null).describe("Time zone; null: the host's."),
  })
  .refine((value) => (value.after ?? value.before ?? value.weekdays ?? null) !== null, {
    error: 'must have `after`, `before` or `weekdays`',
    when: isObject,
  });

/** A condition in normal form. */
export type Condition =
  | z.output<typeof field>
  | z.output<typeof always>
  | z.output<typeof debounce>
  | z.output<typeof throttle>
  | z.output<typeof shell>
  | z.output<typeof time>
  | { type: 'all' | 'any'; conditions: Condition[] }
  | { type: 'not'; conditions: Condition[] };

type ConditionInput =
  | z.input<typeof field>
  | z.input<typeof always>
  | z.input<typeof debounce>
  | z.input<typeof throttle>
  | z.input<typeof shell>
  | z.input<typeof time>
  | { type: 'all' | 'any' | 'not'; conditions: ConditionInput[] };

const conditionSchema: z.ZodType<Condition, ConditionInput> = z
  .lazy(() => conditionUnion)
  .meta({ id: 'Condition' });
const several = z.array(conditionSchema).min(1).max(100).describe('The conditions that are joined.');
const conditionUnion = z.discriminatedUnion('type', [
  field,
  always,
  debounce,
  throttle,
  shell,
  time,
  z.strictObject({ type: z.literal('all').describe('True when all are.'), conditions: several }),
  z.strictObject({ type: z.literal('any').describe('True when one is.'), conditions: several }),
  z.strictObject({ type: z.literal('not').describe('True when none is.'), conditions: several }),
]);

const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

const cooldown = z
  .union([
    z.number().min(0).max(MAX_SECONDS),
    z
      .string()
      .regex(/^\d{1,9}[smhd]$/, 'must be a number of seconds, or a time such as "30s", "5m", "2h" or "1d"'),
  ])
  .transform((value) =>
    typeof value === 'number'
      ? Math.round(value * 1_000)
      : Number.parseInt(value, 10) * UNIT_MS[value.slice(-1) as keyof typeof UNIT_MS],
  );

/** Two spellings of one key: at most one may stand there, and exactly one where it is required. */
function onlyOne(a: string, b: string, required: boolean) {
  return z.refine<object>(
    (value) => {
      const given = Number(a in value) + Number(b in value);
      return given === 1 || (given === 0 && !required);
    },
    {
      path: [a],
      error: required
        ? `must be given once, as \`${a}\` or as \`${b}\``
        : `stands here twice: as \`${a}\` and as \`${b}\``,
      when: isObject,
    },
  );
}

/** A rule, in any of the forms in use. */
const ruleSchema = z
  .strictObject({
    id: id.describe('Name of the rule, unique.'),
    description: text.nullable().default(null).describe('For people.'),
    enabled: z.boolean().default(true).describe('Whether the rule is looked at.'),
    trigger: triggerSchema.optional().describe('What sets the rule off.'),
    triggers: z
      .array(triggerSchema)
      .min(1)
      .max(100)
      .optional()
      .describe('Several triggers: any of them sets it off.'),
    condition: conditionSchema.optional().describe('What must be true as well.'),
    conditions: z
      .array(conditionSchema)
      .max(100)
      .optional()
      .describe('Several conditions: all must be true.'),
    action: ruleActionSchema.optional().describe('What is done.'),
    actions: z.array(ruleActionSchema).min(1).max(100).optional().describe('Several actions, done in order.'),
    mode: z
      .enum(['single', 'restart', 'queued', 'parallel'])
      .default('queued')
      .describe('What a new run does while another lasts: nothing, take over, wait, or run beside it.'),
    max: z.int().min(1).max(1_000).default(10).describe('Runs that may wait or run side by side.'),
    cooldown: cooldown.optional().describe('Rest after a run: seconds, or `30s`, `5m`, `2h`, `1d`.'),
    cooldownMs: milliseconds.optional().describe('The same in milliseconds.'),
    max_per_hour: z
      .int()
      .min(1)
      .max(100_000)
      .default(60)
      .describe('A rule that fires more often pauses itself.'),
    requires_approval: z.boolean().optional().describe('Whether a person must agree before each run.'),
    requiresApproval: z.boolean().optional().describe('Another spelling of `requires_approval`.'),
    allow_self: z
      .boolean()
      .default(false)
      .describe('Whether changes made by its own tasks may set the rule off.'),
  })
  .check(onlyOne('trigger', 'triggers', true))
  .check(onlyOne('action', 'actions', true))
  .check(onlyOne('condition', 'conditions', false))
  .check(onlyOne('cooldown', 'cooldownMs', false))
  .check(onlyOne('requires_approval', 'requiresApproval', false))
  .transform((rule) => {
    const { trigger, condition, action, cooldown: rest, cooldownMs, requiresApproval, ...same } = rule;
    return {
      ...same,
      triggers: rule.triggers ?? (trigger ? [trigger] : []),
      conditions: rule.conditions ?? (condition ? [condition] : []),
      actions: rule.actions ?? (action ? [action] : []),
      cooldown_ms: rest ?? cooldownMs ?? 0,
      requires_approval: rule.requires_approval ?? requiresApproval ?? false,
    };
  });

/** Section `rules`: what follows from what. */
export const rulesSchema = z.array(ruleSchema).max(2_000).default([]).describe('What follows from what.');
export type Trigger = z.output<typeof triggerSchema>;
