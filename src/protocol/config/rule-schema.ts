import * as v from 'valibot';
import {
  about,
  choice,
  judge,
  judgeWhole,
  literal,
  nullableSetting,
  object,
  oneOf,
  setting,
  variant,
  wholeNumber,
} from '../schema.js';
import { isTopic } from '../topic.js';
import { ruleActionSchema } from './action-schema.js';
import {
  argv,
  cron,
  filled,
  filledUpTo,
  id,
  interval,
  MAX_SECONDS,
  milliseconds,
  numberWithin,
  pathGlob,
  regularExpression,
  regularExpressionProblem,
  text,
  timezone,
  topicGlob,
} from './keys.js';
import { fileEvents } from './source-sections.js';
import { noTemplatesProblem } from './templates.js';

const fileChange = object({
  type: about(literal('file_change'), 'A watched file changed.'),
  pattern: about(pathGlob, 'Glob over paths relative to the project, such as `src/**/*.ts`.'),
  events: fileEvents,
});
const scheduled = object({
  type: about(literal('schedule'), 'A time has come.'),
  cron,
  timezone: nullableSetting(timezone, "Time zone of `cron`; null: the host's."),
});
const onEvent = object({
  type: about(literal('event'), 'An event was published.'),
  topic: about(topicGlob, 'Glob over topics, such as `task:failed` or `build.**`.'),
});
const TRIGGER_TYPES = ['file_change', 'schedule', 'event'];
const eventType = object({
  type: v.pipe(
    v.string(),
    v.check(
      (value) => isTopic(value) && !TRIGGER_TYPES.includes(value),
      'must be "file_change", "schedule", "event" or the type of an event, such as "file.modify"',
    ),
    v.description('The type of an event, such as `file.modify`.'),
  ),
  source: nullableSetting(filled, 'Only events of this source; null: of all.'),
  pattern: nullableSetting(regularExpression, 'Regular expression over `type:source`.'),
});

/** What sets a rule off. An event type in place of a trigger type is the older form; it comes out as `event_type`. */
export const triggerSchema = choice([
  v.pipe(
    eventType,
    v.transform(({ type, ...rest }) => ({ type: 'event_type' as const, event_type: type, ...rest })),
  ),
  variant('type', [fileChange, scheduled, onEvent]),
]);

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

const operator = v.pipe(
  about(oneOf([...FIELD_OPERATORS, 'eq', 'neq']), 'How the field is compared with `value`.'),
  v.transform((name) => (SHORT_OPERATORS[name] ?? name) as FieldOperator),
);

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

const field = v.pipe(
  object({
    type: v.optional(about(literal('field'), 'A field of the event is compared; may be left out.')),
    field: about(filledUpTo(256), 'Path in the event, such as `payload.path`.'),
    operator,
    value: v.optional(
      about(
        choice([v.string(), v.pipe(v.number(), v.finite()), v.boolean(), v.null()]),
        'What to compare with.',
      ),
    ),
  }),
  judgeWhole(({ operator: name, value }) => fieldValueProblem(name, value), 'value'),
  v.transform((condition) => ({ ...condition, type: 'field' as const, value: condition.value ?? null })),
);

const always = object({ type: about(literal('always'), 'Always true.') });
const debounce = object({
  type: about(literal('debounce'), 'Wait until it is quiet; the actions see all the paths.'),
  interval_ms: about(interval, 'How long it has to be quiet.'),
});
const throttle = object({
  type: about(literal('throttle'), 'At most once in a time.'),
  interval_ms: about(interval, 'The time.'),
});
const shell = object({
  type: about(literal('shell'), 'A command says yes by exit code 0; it gets the event as JSON on stdin.'),
  command: about(
    v.pipe(
      argv,
      judge((words) =>
        noTemplatesProblem(words, 'the command gets the event on stdin, and "$AIWG_EVENT_PATH" and its kin'),
      ),
    ),
    'The program and its arguments; no shell reads them.',
  ),
  timeout_ms: setting(interval, 10_000, 'No answer in this time is a no.'),
});
const clockTime = v.pipe(
  v.string(),
  v.regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'must be a time of day, such as "22:00"'),
);
const time = v.pipe(
  object({
    type: about(literal('time'), 'The time of day and the day of the week.'),
    after: nullableSetting(clockTime, 'From this time of day on.'),
    before: nullableSetting(clockTime, 'Before this time of day; earlier than `after`: of the next day.'),
    weekdays: nullableSetting(
      v.pipe(v.array(oneOf(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'])), v.minLength(1)),
      'On these days; null: on all.',
    ),
    timezone: nullableSetting(timezone, "Time zone; null: the host's."),
  }),
  judgeWhole(({ after, before, weekdays }) =>
    (after ?? before ?? weekdays ?? null) === null ? 'must have `after`, `before` or `weekdays`' : undefined,
  ),
);

/** A condition in normal form. */
export type Condition =
  | v.InferOutput<typeof field>
  | v.InferOutput<typeof always>
  | v.InferOutput<typeof debounce>
  | v.InferOutput<typeof throttle>
  | v.InferOutput<typeof shell>
  | v.InferOutput<typeof time>
  | { type: 'all' | 'any'; conditions: Condition[] }
  | { type: 'not'; conditions: Condition[] };

type ConditionInput =
  | v.InferInput<typeof field>
  | v.InferInput<typeof always>
  | v.InferInput<typeof debounce>
  | v.InferInput<typeof throttle>
  | v.InferInput<typeof shell>
  | v.InferInput<typeof time>
  | { type: 'all' | 'any' | 'not'; conditions: ConditionInput[] };

const nested: v.GenericSchema<ConditionInput, Condition> = v.lazy(() => conditionSchema);
const several = about(
  v.pipe(v.array(nested), v.minLength(1), v.maxLength(100)),
  'The conditions that are joined.',
);
export const conditionSchema = variant('type', [
  field,
  always,
  debounce,
  throttle,
  shell,
  time,
  object({ type: about(literal('all'), 'True when all are.'), conditions: several }),
  object({ type: about(literal('any'), 'True when one is.'), conditions: several }),
  object({ type: about(literal('not'), 'True when none is.'), conditions: several }),
]);

const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

const cooldown = v.pipe(
  choice([
    numberWithin(0, MAX_SECONDS),
    v.pipe(
      v.string(),
      v.regex(/^\d{1,9}[smhd]$/, 'must be a number of seconds, or a time such as "30s", "5m", "2h" or "1d"'),
    ),
  ]),
  v.description('Rest after a run: seconds, or `30s`, `5m`, `2h`, `1d`.'),
  v.transform((value) =>
    typeof value === 'number'
      ? Math.round(value * 1_000)
      : Number.parseInt(value, 10) * UNIT_MS[value.slice(-1) as keyof typeof UNIT_MS],
  ),
);

/** Two spellings of one key: at most one may stand there, and exactly one where it is required. */
function onlyOne<T>(a: string, b: string, required: boolean) {
  return judgeWhole<T>((value) => {
    const given = Number(a in value) + Number(b in value);
    if (given === 1 || (given === 0 && !required)) return undefined;
    return required
      ? `must be given once, as \`${a}\` or as \`${b}\``
      : `stands here twice: as \`${a}\` and as \`${b}\``;
  }, a);
}

/** A rule, in any of the forms in use. */
const ruleSchema = v.pipe(
  object({
    id: about(id, 'Name of the rule, unique.'),
    description: nullableSetting(text, 'For people.'),
    enabled: setting(v.boolean(), true, 'Whether the rule is looked at.'),
    trigger: about(v.optional(triggerSchema), 'What sets the rule off.'),
    triggers: v.optional(
      about(
        v.pipe(v.array(triggerSchema), v.minLength(1), v.maxLength(100)),
        'Several triggers: any of them sets it off.',
      ),
    ),
    condition: about(v.optional(conditionSchema), 'What must be true as well.'),
    conditions: v.optional(
      about(v.pipe(v.array(nested), v.maxLength(100)), 'Several conditions: all must be true.'),
    ),
    action: about(v.optional(ruleActionSchema), 'What is done.'),
    actions: v.optional(
      about(
        v.pipe(v.array(ruleActionSchema), v.minLength(1), v.maxLength(100)),
        'Several actions, done in order.',
      ),
    ),
    mode: setting(
      oneOf(['single', 'restart', 'queued', 'parallel']),
      'queued',
      'What a new run does while another lasts: nothing, take over, wait, or run beside it.',
    ),
    max: setting(wholeNumber(1, 1_000), 10, 'Runs that may wait or run side by side.'),
    cooldown: v.optional(cooldown),
    cooldownMs: v.optional(about(milliseconds, 'The same in milliseconds.')),
    max_per_hour: setting(wholeNumber(1, 100_000), 60, 'A rule that fires more often pauses itself.'),
    requires_approval: v.optional(about(v.boolean(), 'Whether a person must agree before each run.')),
    requiresApproval: v.optional(about(v.boolean(), 'Another spelling of `requires_approval`.')),
    allow_self: setting(v.boolean(), false, 'Whether changes made by its own tasks may set the rule off.'),
  }),
  onlyOne('trigger', 'triggers', true),
  onlyOne('action', 'actions', true),
  onlyOne('condition', 'conditions', false),
  onlyOne('cooldown', 'cooldownMs', false),
  onlyOne('requires_approval', 'requiresApproval', false),
  v.transform((rule) => {
    const { trigger, condition, action, cooldown: rest, cooldownMs, requiresApproval, ...same } = rule;
    return {
      ...same,
      triggers: rule.triggers ?? (trigger ? [trigger] : []),
      conditions: rule.conditions ?? (condition ? [condition] : []),
      actions: rule.actions ?? (action ? [action] : []),
      cooldown_ms: rest ?? cooldownMs ?? 0,
      requires_approval: rule.requires_approval ?? requiresApproval ?? false,
    };
  }),
);

/** Section `rules`: what follows from what. */
export const rulesSchema = setting(
  v.pipe(v.array(ruleSchema), v.maxLength(2_000)),
  [],
  'What follows from what.',
);
export type Trigger = v.InferOutput<typeof triggerSchema>;
