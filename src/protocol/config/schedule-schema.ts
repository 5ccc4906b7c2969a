import { z } from 'zod';
import { jobActionSchema } from './action-schema.js';
import { cron, filled, id, timezone } from './keys.js';

const job = z
  .strictObject({
    id: id.optional().describe('Name of the job, unique.'),
    name: id.optional().describe('Another word for `id`.'),
    enabled: z.boolean().default(true).describe('Whether the job runs.'),
    cron,
    timezone: timezone.nullable().default(null).describe("Time zone of `cron`; null: the host's."),
    action: z
      .union([filled, jobActionSchema])
      .describe('What is done: a built-in (`doctor`), a name out of `actions`, or an action of its own.'),
    catch_up: z
      .enum(['none', 'last', 'all'])
      .default('none')
      .describe('Which of the slots that were missed while the daemon was down are made up for.'),
    overlap: z
      .enum(['skip', 'queue', 'parallel'])
      .default('skip')
      .describe('What happens when the run before has not ended.'),
  })
  .refine((value) => (value.id === undefined) !== (value.name === undefined), {
    path: ['id'],
    error: 'must be given once, as `id` or as `name`',
    when: ({ value }) => typeof value === 'object' && value !== null,
  })
  .transform(({ name, ...rest }) => ({ ...rest, id: rest.id ?? name ?? '' }));

/** Section `schedule`: what happens at set times. */
export const scheduleSchema = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Whether jobs run at their times.'),
    jobs: z.array(job).default([]).describe('What happens when.'),
  })
  .prefault({})
  .describe('What happens at set times.');
