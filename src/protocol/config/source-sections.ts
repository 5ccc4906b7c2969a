import * as v from 'valibot';
import {
  about,
  choice,
  judgeWhole,
  nullableSetting,
  object,
  oneOf,
  setting,
  wholeNumber,
} from '../schema.js';
import { envName, httpPath, ignorePattern, milliseconds, projectPath } from './keys.js';

const FILE_EVENTS = ['create', 'modify', 'delete'] as const;

/** Key `events`: the kinds of changes that count. */
export const fileEvents = setting(
  v.pipe(v.array(oneOf(FILE_EVENTS)), v.minLength(1)),
  FILE_EVENTS,
  'Which changes count.',
);

const extension = v.pipe(
  v.string(),
  v.regex(/^\.?[^./\\\0\s]+(\.[^./\\\0\s]+)*$/, 'must be a file extension, such as ".ts" or ".test.ts"'),
  v.transform((value) => (value.startsWith('.') ? value : `.${value}`)),
);

const pathObject = object({
  path: about(projectPath, 'A folder or file, relative to the project; it need not exist yet.'),
  events: fileEvents,
  ignore: setting(v.array(ignorePattern), [], 'Patterns as in a `.gitignore`, relative to this path.'),
  extensions: setting(v.array(extension), [], 'Only files with one of these endings; empty: all.'),
});

const watchedPath = v.pipe(
  choice([projectPath, pathObject]),
  v.transform((value) => (typeof value === 'string' ? v.parse(pathObject, { path: value }) : value)),
);

const watch = object({
  enabled: setting(v.boolean(), true, 'Whether files are watched at all.'),
  paths: setting(v.array(watchedPath), [], 'What is watched: paths, or objects that say more.'),
  ignore: setting(v.array(ignorePattern), [], 'Patterns as in a `.gitignore`, relative to the project.'),
  debounce_ms: setting(milliseconds, 500, 'A file counts as changed when it was quiet for this long.'),
  use_polling: setting(
    v.boolean(),
    false,
    'Look at the files again and again, for disks that tell no changes.',
  ),
  catch_up: setting(v.boolean(), true, 'Also report what changed while the daemon was down.'),
  respect_gitignore: setting(v.boolean(), true, 'Pass over what `.gitignore` names.'),
});

/** Section `watch`: files whose changes become events. */
export const watchSchema = setting(watch, {}, 'Files whose changes become events.');

const endpoint = object({
  path: about(httpPath, 'Path of the URL; `/ci` becomes the event `webhook.ci`.'),
  method: setting(oneOf(['GET', 'POST', 'PUT']), 'POST', 'HTTP method.'),
});

const webhook = v.pipe(
  object({
    enabled: setting(v.boolean(), false, 'Whether the daemon listens; needs `secret_env`.'),
    host: setting(
      v.pipe(
        v.string(),
        v.regex(/^[A-Za-z0-9.:-]+$/, 'must be an address or a host name, such as "127.0.0.1"'),
      ),
      '127.0.0.1',
      'Address to listen on.',
    ),
    port: setting(wholeNumber(1, 65_535), 9_471, 'TCP port to listen on.'),
    secret_env: nullableSetting(envName, 'Environment variable with the secret that senders sign with.'),
    endpoints: setting(
      v.array(endpoint),
      [{ path: '/ci', method: 'POST' }],
      'Paths that are answered; `GET /health` always is.',
    ),
  }),
  judgeWhole(
    ({ enabled, secret_env }) =>
      enabled === true && typeof secret_env !== 'string'
        ? 'must name the environment variable with the secret: without one the webhook cannot be enabled'
        : undefined,
    'secret_env',
  ),
);

/** Section `webhook`: signed requests that become events. */
export const webhookSchema = setting(webhook, {}, 'Receives signed HTTP requests. Off by default.');
