import { describe, expect, it } from 'vitest';
import { changedSections } from '#aiwgd/protocol/config/changed-sections.js';
import type { Config } from '#aiwgd/protocol/config/config-schema.js';
import { defaultConfigText } from '#aiwgd/protocol/config/default-config.js';
import { parseConfig } from '#aiwgd/protocol/config/read-config.js';

function configOf(value: unknown): Config {
  const parsed = parseConfig(JSON.stringify(value), 'daemon.json');
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.config;
}

describe('defaults', () => {
  it('fills in every key', () => {
    expect(configOf({})).toEqual({
      daemon: {
        heartbeat_interval_seconds: 30,
        max_parallel_actions: 3,
        action_timeout_minutes: 120,
        stop_grace_seconds: 15,
        kill_grace_seconds: 8,
        log: { max_size_mb: 50, max_files: 5, level: 'info' },
      },
      watch: {
        enabled: true,
        paths: [],
        ignore: [],
        debounce_ms: 500,
        use_polling: false,
        catch_up: true,
        respect_gitignore: true,
      },
      schedule: { enabled: true, jobs: [] },
      actions: {},
      rules: [],
      webhook: {
        enabled: false,
        host: '127.0.0.1',
        port: 9471,
        secret_env: null,
        endpoints: [{ path: '/ci', method: 'POST' }],
      },
      default_agent: 'claude',
      agents: {
        claude: {
          provider: 'claude',
          program: 'claude',
          args: [],
          model: null,
          env: {},
          env_allow: [],
          permission_mode: null,
          allowed_tools: [],
          disallowed_tools: [],
          append_prompt: null,
          max_turns: null,
          isolation: 'none',
          worktree: { submodules: true, untracked: 'none', copy: [] },
          fallback: null,
          verify: null,
          verify_rounds: 2,
          outside_settings: 'user',
          usd_per_million_tokens: null,
          approvals: 'off',
          max_parallel: null,
          stall_minutes: null,
          keep_background: false,
        },
      },
      budget: { per_task_usd: null, per_day_usd: null, per_rule_day_usd: null },
      gates: { expire_minutes: 60 },
      retention: { days: 30 },
      messaging: {
        slack: { enabled: true, topics: null },
        discord: { enabled: true, topics: null },
        telegram: { enabled: true, topics: null },
      },
      mcp: {
        allow: expect.arrayContaining(['daemon.status', 'task.submit', 'task.cancel', 'task.get']),
      },
    });
    expect(configOf({}).mcp.allow).not.toContain('daemon.stop');
  });

  it('leaves out the built-in agent where another is the default', () => {
    const agents = { script: { provider: 'command', command: ['./agent.sh'] } };
    expect(Object.keys(configOf({ agents, default_agent: 'script' }).agents)).toEqual(['script']);
    expect(Object.keys(configOf({ agents }).agents)).toEqual(['claude', 'script']);
    expect(configOf({ agents }).agents['script']).toMatchObject({
      prompt: 'stdin',
      output: 'text',
      env_allow: [],
    });
  });

  it('keeps what the file says', () => {
    expect(configOf({ daemon: { log: { max_size_mb: 0.01 } } }).daemon.log).toEqual({
      max_size_mb: 0.01,
      max_files: 5,
      level: 'info',
    });
    const agents = {
      claude: {
        provider: 'claude',
        program: './bin/claude',
        args: ['--permission-mode', 'plan'],
        model: null,
      },
      plain: {},
      other: { provider: 'codex', max_parallel: 1, isolation: 'worktree', env_allow: ['MY_*'] },
    };
    expect(configOf({ agents }).agents).toMatchObject({
      ...agents,
      plain: { provider: 'claude' },
      other: { program: 'codex' },
    });
  });
});

describe('the written default file', () => {
  it.each([{}, { comments: true }, { schema: '../x.json' }, { comments: true, schema: '../x.json' }])(
    'is right, without warnings: %j',
    (options) => {
      const parsed = parseConfig(defaultConfigText(options), 'daemon.json');
      if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
      expect(parsed.warnings).toEqual([]);
      const { config } = parsed;
      expect(config.watch.debounce_ms).toBe(2000);
      expect(config.watch.paths.map(({ path }) => path)).toEqual(['.aiwg/', 'src/', 'test/']);
      expect(config.watch.paths[0]).toEqual({
        path: '.aiwg/',
        events: ['create', 'modify', 'delete'],
        ignore: ['*.tmp', 'working/**', 'daemon/**'],
        extensions: [],
      });
      expect(config.schedule.jobs).toMatchObject([
        { id: 'health-check', cron: '0 */6 * * *', action: 'doctor' },
      ]);
      expect(config.webhook).toMatchObject({ enabled: false, port: 9471, secret_env: 'AIWG_WEBHOOK_SECRET' });
    },
  );

  it('can be read by any JSON parser', () => {
    const plain = JSON.parse(defaultConfigText({ schema: './daemon.schema.json' }));
    expect(plain).toMatchObject({
      $schema: './daemon.schema.json',
      daemon: { max_parallel_actions: 3 },
      rules: [],
    });
    expect(defaultConfigText({ comments: true })).toContain('//');
  });
});

describe('shapes in use', () => {
  it('takes watched paths as strings or objects', () => {
    expect(
      configOf({ watch: { paths: ['src/', { path: 'lib', extensions: ['ts', '.js'] }] } }).watch.paths,
    ).toEqual([
      { path: 'src/', events: ['create', 'modify', 'delete'], ignore: [], extensions: [] },
      { path: 'lib', events: ['create', 'modify', 'delete'], ignore: [], extensions: ['.ts', '.js'] },
    ]);
  });

  it('takes jobs with id or name, and actions by name or in place', () => {
    const { schedule, actions } = configOf({
      actions: { audit: { prompt: 'Audit it' }, clean: { command: ['make', 'clean'], env: { A: '${B}' } } },
      schedule: {
        jobs: [
          { id: 'a', cron: '@daily', action: 'audit' },
          { name: 'b', cron: '0 9 * * mon-fri', timezone: 'Europe/Berlin', action: { prompt: 'Go on' } },
          {
            name: 'c',
            cron: '*/5 * * * *',
            action: { command: ['true'] },
            catch_up: 'last',
            overlap: 'queue',
          },
        ],
      },
    });
    expect(schedule.jobs.map((job) => job.id)).toEqual(['a', 'b', 'c']);
    expect(schedule.jobs[0]).toMatchObject({
      action: 'audit',
      timezone: null,
      catch_up: 'none',
      overlap: 'skip',
    });
    expect(schedule.jobs[0]).not.toHaveProperty('name');
    expect(schedule.jobs[1]?.action).toMatchObject({ type: 'submit_task', prompt: 'Go on', agent: null });
    expect(schedule.jobs[2]?.action).toMatchObject({
      type: 'command',
      command: ['true'],
      timeout_ms: 600_000,
    });
    expect(actions['audit']).toMatchObject({ type: 'submit_task', priority: 0 });
    expect(actions['clean']).toMatchObject({ type: 'command', env: { A: '${B}' } });
  });

  it("takes rules in the guide's form", () => {
    const [rule] = configOf({
      watch: { paths: ['src/'] },
      rules: [
        {
          id: 'auto-test',
          trigger: { type: 'file_change', pattern: 'src/**/*.ts' },
          condition: { type: 'debounce', interval_ms: 5000 },
          action: { type: 'submit_task', prompt: 'Run the tests' },
        },
      ],
    }).rules;
    expect(rule).toEqual({
      id: 'auto-test',
      description: null,
      enabled: true,
      triggers: [{ type: 'file_change', pattern: 'src/**/*.ts', events: ['create', 'modify', 'delete'] }],
      conditions: [{ type: 'debounce', interval_ms: 5000 }],
      actions: [
        {
          type: 'submit_task',
          prompt: 'Run the tests',
          agent: null,
          priority: 0,
          timeout_minutes: null,
          env: {},
          verify: null,
          verify_rounds: null,
          wait: true,
        },
      ],
      mode: 'queued',
      max: 10,
      cooldown_ms: 0,
      max_per_hour: 60,
      requires_approval: false,
      allow_self: false,
    });
  });

  it("takes rules in the original program's form", () => {
    const [rule] = configOf({
      rules: [
        {
          id: 'old',
          trigger: { type: 'file.modify', source: 'watcher', pattern: '^file' },
          conditions: [
            { field: 'payload.path', operator: 'matches', value: '\\.ts$' },
            { field: 'payload.size', operator: 'eq', value: 3 },
            { field: 'payload.gone', operator: 'not_exists' },
          ],
          action: { type: 'agent', prompt: 'Look at {{payload.path}}', priority: 2 },
          cooldownMs: 60_000,
          requiresApproval: true,
        },
      ],
    }).rules;
    expect(rule).toMatchObject({
      triggers: [{ type: 'event_type', event_type: 'file.modify', source: 'watcher', pattern: '^file' }],
      conditions: [
        { type: 'field', field: 'payload.path', operator: 'matches', value: '\\.ts$' },
        { type: 'field', field: 'payload.size', operator: 'equals', value: 3 },
        { type: 'field', field: 'payload.gone', operator: 'not_exists', value: null },
      ],
      actions: [{ type: 'submit_task', prompt: 'Look at {{payload.path}}', priority: 2 }],
      cooldown_ms: 60_000,
      requires_approval: true,
    });
    expect(rule).not.toHaveProperty('cooldownMs');
    expect(rule).not.toHaveProperty('trigger');
  });

  it('takes every kind of trigger, condition and action', () => {
    const [rule] = configOf({
      rules: [
        {
          id: 'all',
          triggers: [
            { type: 'schedule', cron: '@hourly' },
            { type: 'event', topic: 'build.**' },
          ],
          conditions: [
            { type: 'always' },
            { type: 'throttle', interval_ms: 1 },
            { type: 'shell', command: ['test', '-f', 'x'] },
            { type: 'time', after: '22:00', before: '06:00', weekdays: ['mon'], timezone: 'UTC' },
            { type: 'any', conditions: [{ type: 'not', conditions: [{ type: 'always' }] }] },
          ],
          actions: [
            { type: 'notify', message: 'Hm' },
            { type: 'webhook', url: 'https://example.org/x', secret_env: 'HOOK_SECRET' },
            { type: 'command', command: ['make'], timeout_ms: 5 },
            { type: 'emit', topic: 'my.topic', payload: { a: 1 } },
            { type: 'gate' },
          ],
          cooldown: '5m',
        },
      ],
    }).rules;
    expect(rule?.cooldown_ms).toBe(300_000);
    expect(rule?.conditions[2]).toMatchObject({ timeout_ms: 10_000 });
    expect(rule?.actions).toMatchObject([
      { severity: 'info', channel: null },
      { allow_private: false },
      { env: {} },
      { payload: { a: 1 } },
      { summary: null, expire_minutes: null },
    ]);
  });
});

describe('changedSections', () => {
  it('names the sections that differ', () => {
    const before = configOf({});
    expect(changedSections(before, configOf({ daemon: { max_parallel_actions: 3 } }))).toEqual([]);
    expect(
      changedSections(before, configOf({ daemon: { max_parallel_actions: 4 }, watch: { paths: ['a'] } })),
    ).toEqual(['daemon', 'watch']);
    expect(changedSections(before, configOf({ agents: { claude: { args: ['-x'] } } }))).toEqual(['agents']);
  });
});
