import * as v from 'valibot';
import { about, judge, record, wholeNumber } from '../schema.js';
import { isTopic, isTopicGlob } from '../topic.js';
import { cronProblem } from './cron-expression.js';
import { failureOf } from './failure-of.js';
import { isTimezone } from './timezone.js';

/** 9,999 days in the units of the keys: what the task store and date arithmetic can still carry. */
const MAX_DAYS = 9_999;
export const MAX_MINUTES = MAX_DAYS * 1_440;
export const MAX_SECONDS = MAX_MINUTES * 60;
const MAX_MS = MAX_SECONDS * 1_000;

/** Text that may become an argument, a path or a variable: the system ends each of them at a NUL. */
export const text = v.pipe(
  v.string(),
  v.check((value) => !value.includes('\0'), 'must not hold a NUL character'),
);
export const filled = v.pipe(text, v.minLength(1));

/** As `filled`, but not longer. */
export function filledUpTo(most: number) {
  return v.pipe(filled, v.maxLength(most));
}

export function numberWithin(least: number, most: number) {
  return v.pipe(v.number(), v.minValue(least), v.maxValue(most));
}

export const minutes = v.pipe(v.number(), v.gtValue(0), v.maxValue(MAX_MINUTES));
export const milliseconds = wholeNumber(0, MAX_MS);
/** Milliseconds of which there must be some. */
export const interval = wholeNumber(1, MAX_MS);
export const dollars = numberWithin(0, 1_000_000);

/** A program and its arguments; no shell reads them. */
export const argv = about(
  v.tupleWithRest([filled], text),
  'The program and its arguments; no shell reads them.',
);

export const id = v.pipe(
  v.string(),
  v.regex(
    /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$/,
    'must begin with a letter or digit and go on with letters, digits, _, ., : or - (at most 128)',
  ),
);

export const agentName = v.pipe(
  v.string(),
  v.regex(
    /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/,
    'must begin with a letter or digit and go on with letters, digits, _, . or - (at most 128)',
  ),
);

export const envName = v.pipe(
  v.string(),
  v.regex(
    /^[A-Za-z_][A-Za-z0-9_]*$/,
    'must be the name of an environment variable: letters, digits and _, not beginning with a digit',
  ),
);

/** Variables by which the daemon finds an attempt's processes and an agent its task. */
const RESERVED = ['AIWG_TASK_ID', 'AIWG_ATTEMPT_ID', 'AIWG_PROJECT', 'AIWG_EVENT_FILE'];

const settableEnvName = v.pipe(
  envName,
  v.check((name) => !RESERVED.includes(name), 'is set by the daemon itself and cannot be changed'),
);

/** Variables with fixed values. */
export const fixedEnv = record(
  settableEnvName,
  v.pipe(
    text,
    v.check(
      (value) => !/\$\{[^}]*\}/.test(value),
      '${NAME} is only replaced in the `env` of actions; to pass a variable on, put its name in `env_allow`',
    ),
  ),
);

/** Variables of an action, in whose values `${NAME}` stands for the daemon's own variable. */
export const actionEnv = record(
  settableEnvName,
  v.pipe(
    text,
    v.check(
      (value) => !/\$\{(?![A-Za-z_][A-Za-z0-9_]*\})/.test(value),
      'every ${ must begin the name of an environment variable and end with }, as in ${DEPLOY_TARGET}',
    ),
  ),
);

export const cron = v.pipe(
  v.string(),
  judge(cronProblem),
  v.description('Five fields (minute hour day-of-month month day-of-week), or `@daily` and its kin.'),
  v.examples(['0 */6 * * *', '@daily']),
);

export const timezone = v.pipe(
  v.string(),
  v.check(isTimezone, 'must be a time zone of the IANA list, such as "Europe/Berlin" or "UTC"'),
);

export const topic = v.pipe(
  v.string(),
  v.check(
    isTopic,
    'must be segments of letters, digits, _, - or /, joined by . or :, such as "build.failed"',
  ),
);

export const topicGlob = v.pipe(
  v.string(),
  v.check(
    isTopicGlob,
    'must be a topic in which * and ** may stand, at most three times, such as "task:*" or "build.**"',
  ),
);

export const regularExpression = v.pipe(
  v.string(),
  v.minLength(1),
  v.maxLength(1_000),
  judge(regularExpressionProblem),
);

/** A path inside the project, as it stands in the file. */
export const projectPath = v.pipe(filledUpTo(4_096), judge(projectPathProblem));

/** A glob over paths relative to the project. */
export const pathGlob = v.pipe(
  filledUpTo(4_096),
  v.check((value) => !value.startsWith('/'), 'must be relative to the project: no leading /'),
);

/** A pattern as in a `.gitignore`. */
export const ignorePattern = filledUpTo(4_096);

/** As a topic it has `webhook.` before it, and must not become longer than one may be. */
export const httpPath = v.pipe(
  v.string(),
  v.maxLength(248),
  v.regex(/^(\/[A-Za-z0-9_-]+)+$/, 'must be a path of letters, digits, _ and -, such as "/ci"'),
);

function projectPathProblem(value: string): string | undefined {
  if (value.startsWith('/') || value.startsWith('~') || value.split('/').includes('..')) {
    return 'must be a path inside the project, relative to it';
  }
  if (!value.includes('*')) return undefined;
  return 'must be a folder or a file, not a glob; `extensions` and `ignore` narrow down what counts in it';
}

/** What is wrong with a regular expression, or undefined. */
export function regularExpressionProblem(pattern: string): string | undefined {
  const reason = failureOf(() => new RegExp(pattern));
  return reason && `is not a regular expression: ${reason.slice(reason.lastIndexOf(': ') + 2)}`;
}
