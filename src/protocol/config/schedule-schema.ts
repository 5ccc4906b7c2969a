import * as v from 'valibot';
import { about, choice, judgeWhole, nullableSetting, object, oneOf, setting } from '../schema.js';
import { jobActionSchema } from './action-schema.js';
import { cron, filled, id, timezone } from './keys.js';

const job = v.pipe(
  object({
    id: v.optional(about(id, 'Name of the job, unique.')),
    name: v.optional(about(id, 'Another word for `id`.')),
    enabled: setting(v.boolean(), true, 'Whether the job runs.'),
    cron,
    timezone: nullableSetting(timezone, "Time zone of `cron`; null: the host's."),
    action: about(
      choice([filled, jobActionSchema]),
      'What is done: a built-in (`doctor`), a name out of `actions`, or an action of its own.',
    ),
    catch_up: setting(
      oneOf(['none', 'last', 'all']),
      'none',
      'Which of the slots that were missed while the daemon was down are made up for.',
    ),
    overlap: setting(
      oneOf(['skip', 'queue', 'parallel']),
      'skip',
      'What happens when the run before has not ended.',
    ),
  }),
  judgeWhole(
    (one) => ('id' in one === 'name' in one ? 'must be given once, as `id` or as `name`' : undefined),
    'id',
  ),
  v.transform(({ name, ...rest }) => ({ ...rest, id: rest.id ?? name ?? '' })),
);

const schedule = object({
  enabled: setting(v.boolean(), true, 'Whether jobs run at their times.'),
  jobs: setting(v.array(job), [], 'What happens when.'),
});

/** Section `schedule`: what happens at set times. */
export const scheduleSchema = setting(schedule, {}, 'What happens at set times.');
