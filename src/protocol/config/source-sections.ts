import { z } from 'zod';
import { envName, httpPath, ignorePattern, milliseconds, projectPath } from './keys.js';

export const FILE_EVENTS = ['create', 'modify', 'delete'] as const;

const extension = z
  .string()
  .regex(/^\.?[^./\\\0\s]+(\.[^./\\\0\s]+)*$/, 'must be a file extension, such as ".ts" or ".test.ts"')
  .transform((value) => (value.startsWith('.') ? value : `.${value}`));

const pathObject = z.strictObject({
  path: projectPath.describe('A folder or file, relative to the project; it need not exist yet.'),
  events: z
    .array(z.enum(FILE_EVENTS))
    .min(1)
    .default([...FILE_EVENTS])
    .describe('Which changes count.'),
  ignore: z
    .array(ignorePattern)
    .default([])
    .describe('Patterns as in a `.gitignore`, relative to this path.'),
  extensions: z.array(extension).default([]).describe('Only files with one of these endings; empty: all.'),
});

const watchedPath = z
  .union([projectPath, pathObject])
  .transform((value) => (typeof value === 'string' ? pathObject.parse({ path: value }) : value));

/** Section `watch`: files whose changes become events. */
export const watchSchema = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Whether files are watched at all.'),
    paths: z.array(watchedPath).default([]).describe('What is watched: paths, or objects that say more.'),
    ignore: z
      .array(ignorePattern)
      .default([])
      .describe('Patterns as in a `.gitignore`, relative to the project.'),
    debounce_ms: milliseconds
      .default(500)
      .describe('A file counts as changed when it was quiet for this long.'),
    use_polling: z
      .boolean()
      .default(false)
      .describe('Look at the files again and again, for disks that tell no changes.'),
    catch_up: z.boolean().default(true).describe('Also report what changed while the daemon was down.'),
    respect_gitignore: z.boolean().default(true).describe('Pass over what `.gitignore` names.'),
  })
  .prefault({})
  .describe('Files whose changes become events.');

const endpoint = z.strictObject({
  path: httpPath.describe('Path of the URL; `/ci` becomes the event `webhook.ci`.'),
  method: z.enum(['GET', 'POST', 'PUT']).default('POST').describe('HTTP method.'),
});

/** Section `webhook`: signed requests that become events. */
export const webhookSchema = z
  .strictObject({
    enabled: z.boolean().default(false).describe('Whether the daemon listens; needs `secret_env`.'),
    host: z
      .string()
      .regex(/^[A-Za-z0-9.:-]+$/, 'must be an address or a host name, such as "127.0.0.1"')
      .default('127.0.0.1')
      .describe('Address to listen on.'),
    port: z.int().min(1).max(65_535).default(9_471).describe('TCP port to listen on.'),
    secret_env: envName
      .nullable()
      .default(null)
      .describe('Environment variable with the secret that senders sign with.'),
    endpoints: z
      .array(endpoint)
      .default([{ path: '/ci', method: 'POST' }])
      .describe('Paths that are answered; `GET /health` always is.'),
  })
  .refine(({ enabled, secret_env }) => !enabled || typeof secret_env === 'string', {
    path: ['secret_env'],
    error: 'must name the environment variable with the secret: without one the webhook cannot be enabled',
    when: ({ value }) => typeof value === 'object' && value !== null,
  })
  .prefault({})
  .describe('Receives signed HTTP requests. Off by default.');
