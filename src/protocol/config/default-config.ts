import { parse } from './jsonc.js';

const WITH_COMMENTS = `{
  // All keys: docs/reference/configuration.md. \`aiwgd config validate\` checks this file, \`aiwgd reload\` applies it.
  "daemon": {
    "heartbeat_interval_seconds": 30,
    // Tasks that run at the same time.
    "max_parallel_actions": 3,
    "action_timeout_minutes": 120,
    "log": { "max_size_mb": 50, "max_files": 5, "level": "info" }
  },
  // Changes of these files become events, which rules can act on.
  "watch": {
    "enabled": true,
    "paths": [
      {
        "path": ".aiwg/",
        "events": ["create", "modify", "delete"],
        "ignore": ["*.tmp", "working/**", "daemon/**"]
      },
      { "path": "src/", "events": ["modify"], "extensions": [".ts", ".js", ".mjs"] },
      { "path": "test/", "events": ["modify"], "extensions": [".test.ts", ".test.js"] }
    ],
    "debounce_ms": 2000
  },
  // Signed requests from outside. They need \`enabled\` here, and a secret in the variable AIWG_WEBHOOK_SECRET.
  "webhook": {
    "enabled": false,
    "host": "127.0.0.1",
    "port": 9471,
    "secret_env": "AIWG_WEBHOOK_SECRET",
    "endpoints": [{ "path": "/ci", "method": "POST" }]
  },
  "schedule": {
    "enabled": true,
    "jobs": [{ "id": "health-check", "cron": "0 */6 * * *", "action": "doctor" }]
  },
  // For example: { "id": "test", "trigger": { "type": "file_change", "pattern": "src/**" },
  //   "action": { "type": "submit_task", "prompt": "Run the tests of {{files}} and mend what fails" } }
  "rules": []
}
`;

export interface DefaultConfigOptions {
  /** Explain the keys; without comments every JSON parser can read the file. */
  comments?: boolean;
  /** Path of the JSON Schema for the `$schema` key, relative to the file: only where it really lies there. */
  schema?: string;
}

/** The text of the configuration file that is written where there is none. */
export function defaultConfigText(options: DefaultConfigOptions = {}): string {
  const schema = options.schema === undefined ? {} : { $schema: options.schema };
  if (options.comments) {
    if (options.schema === undefined) return WITH_COMMENTS;
    return WITH_COMMENTS.replace('{\n', () => `{\n  "$schema": ${JSON.stringify(options.schema)},\n`);
  }
  return `${JSON.stringify({ ...schema, ...(parse(WITH_COMMENTS) as object) }, null, 2)}\n`;
}
