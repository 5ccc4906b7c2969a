import { z } from 'zod';
import { isTopic, isTopicGlob } from '../topic.js';
import { cronProblem } from './cron-expression.js';
import { failureOf } from './failure-of.js';

/** 9,999 days in the units of the keys: what the task store and date arithmetic can still carry. */
const MAX_DAYS = 9_999;
export const MAX_MINUTES = MAX_DAYS * 1_440;
export const MAX_SECONDS = MAX_MINUTES * 60;
const MAX_MS = MAX_SECONDS * 1_000;

/** Text that may become an argument, a path or a variable: the system ends each of them at a NUL. */
export const text = z.string().refine((value) => !value.includes('\0'), 'must not hold a NUL character');
export const filled = text.min(1);

export const minutes = z.number().positive().max(MAX_MINUTES);
export const milliseconds = z.int().min(0).max(MAX_MS);
export const dollars = z.number().min(0).max(1_000_000);

/** A program and its arguments; no shell reads them. */
export const argv = z
  .tuple([filled], text)
  .meta({ description: 'The program and its arguments; no shell reads them.' });

export const id = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$/,
    'must begin with a letter or digit and go on with letters, digits, _, ., : or - (at most 128)',
  );

export const agentName = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/,
    'must begin with a letter or digit and go on with letters, digits, _, . or - (at most 128)',
  );

export const envName = z
  .string()
  .regex(
    /^[A-Za-z_][A-Za-z0-9_]*$/,
    'must be the name of an environment variable: letters, digits and _, not beginning with a digit',
  );

/** Variables by which the daemon finds an attempt's processes and an agent its task. */
const RESERVED = ['AIWG_TASK_ID', 'AIWG_ATTEMPT_ID', 'AIWG_PROJECT', 'AIWG_EVENT_FILE'];

const settableEnvName = envName.refine(
  (name) => !RESERVED.includes(name),
  'is set by the daemon itself and cannot be changed',
);

/** Variables with fixed values. */
export const fixedEnv = z.record(
  settableEnvName,
  text.refine(
    (value) => !/\$\{[^}]*\}/.test(value),
    '${NAME} is only replaced in the `env` of actions; to pass a variable on, put its name in `env_allow`',
  ),
);

/** Variables of an action, in whose values `${NAME}` stands for the daemon's own variable. */
export const actionEnv = z
  .record(
    settableEnvName,
    text.refine(
      (value) => !/\$\{(?![A-Za-z_][A-Za-z0-9_]*\})/.test(value),
      'every ${ must begin the name of an environment variable and end with }, as in ${DEPLOY_TARGET}',
    ),
  )
  .meta({
    description: "Variables of the action; ${NAME} in a value stands for the daemon's own variable NAME.",
  });

export const cron = z
  .string()
  .superRefine((value, context) => {
    const message = cronProblem(value);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  })
  .meta({
    description: 'Five fields (minute hour day-of-month month day-of-week), or `@daily` and its kin.',
    examples: ['0 */6 * * *', '@daily'],
  });

export const timezone = z
  .string()
  .refine(isTimezone, 'must be a time zone of the IANA list, such as "Europe/Berlin" or "UTC"');

export const topic = z
  .string()
  .refine(
    isTopic,
    'must be segments of letters, digits, _, - or /, joined by . or :, such as "build.failed"',
  );

export const topicGlob = z
  .string()
  .refine(
    isTopicGlob,
    'must be a topic in which * and ** may stand, at most three times, such as "task:*" or "build.**"',
  );

export const regularExpression = z
  .string()
  .min(1)
  .max(1_000)
  .superRefine((value, context) => {
    const message = regularExpressionProblem(value);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });

/** A path inside the project, as it stands in the file. */
export const projectPath = filled.max(4_096).superRefine((value, context) => {
  if (value.startsWith('/') || value.startsWith('~') || value.split('/').includes('..')) {
    context.addIssue({ code: 'custom', message: 'must be a path inside the project, relative to it' });
  } else if (value.includes('*')) {
    context.addIssue({
      code: 'custom',
      message:
        'must be a folder or a file, not a glob; `extensions` and `ignore` narrow down what counts in it',
    });
  }
});

/** A glob over paths relative to the project. */
export const pathGlob = filled
  .max(4_096)
  .refine((value) => !value.startsWith('/'), 'must be relative to the project: no leading /');

/** A pattern as in a `.gitignore`. */
export const ignorePattern = filled.max(4_096);

export const httpPath = z
  .string()
  .max(256)
  .regex(/^(\/[A-Za-z0-9_-]+)+$/, 'must be a path of letters, digits, _ and -, such as "/ci"');

/** What is wrong with a regular expression, or undefined. */
export function regularExpressionProblem(pattern: string): string | undefined {
  const reason = failureOf(() => new RegExp(pattern));
  return reason && `is not a regular expression: ${reason.slice(reason.lastIndexOf(': ') + 2)}`;
}

function isTimezone(name: string): boolean {
  // Newer versions of Node also take offsets such as +02:00; with Node 20 they would fail.
  if (!/^[A-Za-z]/.test(name)) return false;
  return failureOf(() => new Intl.DateTimeFormat('en-US', { timeZone: name })) === undefined;
}
