import { describe, expect, it } from 'vitest';
import { type ConfigProblem, formatProblems } from '#aiwgd/protocol/config/problems.js';
import { parseConfig } from '#aiwgd/protocol/config/read-config.js';

function problemsOf(text: string): ConfigProblem[] {
  const parsed = parseConfig(text, 'daemon.json');
  return parsed.ok ? [] : parsed.problems;
}

const job = { id: 'j', cron: '@daily', action: 'doctor' };
const rule = { id: 'r', trigger: { type: 'event', topic: 'a' }, action: { type: 'gate' } };
const ruleWith = (part: object): object => ({ rules: [{ ...rule, ...part }] });
const jobWith = (part: object): object => ({ schedule: { jobs: [{ ...job, ...part }] } });
const conditionOf = (condition: unknown): object => ruleWith({ condition });
const actionOf = (action: unknown): object => ruleWith({ action });

/** A value, the path of its one problem, and what the message and its remedy must say. */
const FAULTS: [unknown, string, RegExp][] = [
  [{ daemon: { heartbeat_interval_seconds: '30' } }, 'daemon.heartbeat_interval_seconds', /must be a number/],
  [{ daemon: { max_parallel_actions: 0 } }, 'daemon.max_parallel_actions', /must be 1 or more/],
  [{ daemon: { max_parallel_actions: 1.5 } }, 'daemon.max_parallel_actions', /whole number/],
  [{ daemon: { action_timeout_minutes: 0 } }, 'daemon.action_timeout_minutes', /more than 0/],
  [{ daemon: { log: { level: 'inf' } } }, 'daemon.log.level', /one of .* did you mean "info"\?/],
  [
    { daemon: { max_paralel_actions: 2 } },
    'daemon.max_paralel_actions',
    /did you mean "max_parallel_actions"\?/,
  ],
  [
    { daemon: { maxParallelActions: 2 } },
    'daemon.maxParallelActions',
    /did you mean "max_parallel_actions"\?/,
  ],
  [{ demon: {} }, 'demon', /unknown key; did you mean "daemon"\?/],
  [{ gates: { zzzzzzzzz: 1 } }, 'gates.zzzzzzzzz', /known here: expire_minutes/],
  [{ daemon: null }, 'daemon', /must be an object/],
  [{ daemon: [] }, 'daemon', /must be an object/],
  [{ watch: { paths: 'src' } }, 'watch.paths', /must be a list/],
  [{ watch: { paths: [7] } }, 'watch.paths[0]', /must be a string or an object/],
  [{ watch: { paths: ['a', { path: 'b', evnts: [] }] } }, 'watch.paths[1].evnts', /did you mean "events"\?/],
  [
    { watch: { paths: [{ path: 'a', events: ['modfy'] }] } },
    'watch.paths[0].events[0]',
    /did you mean "modify"\?/,
  ],
  [{ watch: { paths: [{}] } }, 'watch.paths[0].path', /is missing; must be a string/],
  [{ watch: { paths: ['../x'] } }, 'watch.paths[0]', /inside the project/],
  [{ watch: { paths: ['/x'] } }, 'watch.paths[0]', /inside the project/],
  [{ watch: { paths: ['src/**'] } }, 'watch.paths[0]', /not a glob/],
  [{ watch: { paths: ['a\0'] } }, 'watch.paths[0]', /NUL/],
  [jobWith({ cron: '61 * * * *' }), 'schedule.jobs[0].cron', /minutes go from 0 to 59; 61 is outside/],
  [jobWith({ cron: '5' }), 'schedule.jobs[0].cron', /has 1 field, but needs five/],
  [jobWith({ cron: '' }), 'schedule.jobs[0].cron', /must not be empty/],
  [jobWith({ timezone: 'Europe/Berln' }), 'schedule.jobs[0].timezone', /time zone/],
  [jobWith({ action: 'docter' }), 'schedule.jobs[0].action', /unknown action; did you mean "doctor"\?/],
  [jobWith({ action: 'constructor' }), 'schedule.jobs[0].action', /unknown action/],
  [jobWith({ action: 3 }), 'schedule.jobs[0].action', /must be a string or an object/],
  [jobWith({ action: { command: [] } }), 'schedule.jobs[0].action.command[0]', /is missing/],
  [jobWith({ action: { command: 'make' } }), 'schedule.jobs[0].action.command', /must be a list/],
  [jobWith({ name: 'j' }), 'schedule.jobs[0].id', /once, as `id` or as `name`/],
  [
    { schedule: { jobs: [{ cron: '@daily', action: 'doctor' }] } },
    'schedule.jobs[0].id',
    /once, as `id` or as `name`/,
  ],
  [{ schedule: { jobs: [job, job] } }, 'schedule.jobs[1].id', /used twice/],
  [
    { schedule: { jobs: [job, { name: 'j', cron: '@daily', action: 'doctor' }] } },
    'schedule.jobs[1].name',
    /used twice/,
  ],
  [{ actions: { doctor: { prompt: 'x' } } }, 'actions.doctor', /built-in/],
  [{ actions: { a: { promt: 'x', prompt: 'y' } } }, 'actions.a.promt', /did you mean "prompt"\?/],
  [{ rules: {} }, 'rules', /must be a list/],
  [{ rules: [rule, rule] }, 'rules[1].id', /used twice/],
  [{ rules: [null] }, 'rules[0]', /must be an object/],
  [ruleWith({ trigger: undefined }), 'rules[0].trigger', /`trigger` or as `triggers`/],
  [ruleWith({ actions: [{ type: 'gate' }] }), 'rules[0].action', /`action` or as `actions`/],
  [ruleWith({ condition: { type: 'always' }, conditions: [] }), 'rules[0].condition', /stands here twice/],
  [ruleWith({ cooldown: 1, cooldownMs: 1 }), 'rules[0].cooldown', /stands here twice/],
  [ruleWith({ cooldown: '5x' }), 'rules[0].cooldown', /such as "30s"/],
  [ruleWith({ requires_approvl: true }), 'rules[0].requires_approvl', /did you mean "requires_approval"\?/],
  [
    ruleWith({ trigger: { type: 'file change' } }),
    'rules[0].trigger.type',
    /"file_change", "schedule", "event" or the type/,
  ],
  [ruleWith({ trigger: {} }), 'rules[0].trigger.type', /is missing/],
  [ruleWith({ trigger: 'file.modify' }), 'rules[0].trigger', /must be an object/],
  [
    ruleWith({ trigger: { type: 'schedule', cron: '* * * * 9' } }),
    'rules[0].trigger.cron',
    /days of the week go from 0 to 7/,
  ],
  [ruleWith({ trigger: { type: 'event', topic: 'a b' } }), 'rules[0].trigger.topic', /topic/],
  [
    ruleWith({ trigger: { type: 'file.modify', pattern: '(' } }),
    'rules[0].trigger.pattern',
    /regular expression/,
  ],
  [
    ruleWith({ trigger: { type: 'file_change', pattern: 'x', patern: 'y' } }),
    'rules[0].trigger.patern',
    /did you mean "pattern"\?/,
  ],
  [conditionOf({ type: 'debonce', interval_ms: 1 }), 'rules[0].condition.type', /did you mean "debounce"\?/],
  [conditionOf({ type: 'debounce' }), 'rules[0].condition.interval_ms', /is missing/],
  [
    conditionOf({ field: 'a', operator: 'matches', value: '(' }),
    'rules[0].condition.value',
    /regular expression/,
  ],
  [conditionOf({ field: 'a', operator: 'gt', value: '3' }), 'rules[0].condition.value', /must be a number/],
  [conditionOf({ field: 'a', operator: 'equals' }), 'rules[0].condition.value', /is missing/],
  [conditionOf({ field: 'a', operator: 'exists', value: 1 }), 'rules[0].condition.value', /leave it out/],
  [conditionOf({ field: 'a', operator: 'exits' }), 'rules[0].condition.operator', /did you mean "exists"\?/],
  [conditionOf({ type: 'time' }), 'rules[0].condition', /`after`, `before` or `weekdays`/],
  [conditionOf({ type: 'time', after: '25:00' }), 'rules[0].condition.after', /time of day/],
  [
    conditionOf({ type: 'all', conditions: [{ type: 'any', conditions: [{ type: 'x' }] }] }),
    'rules[0].condition.conditions[0].conditions[0].type',
    /one of "field"/,
  ],
  [actionOf({ type: 'submit_tsk', prompt: 'x' }), 'rules[0].action.type', /did you mean "submit_task"\?/],
  [actionOf({ type: 'submit_task', prompt: '' }), 'rules[0].action.prompt', /must not be empty/],
  [actionOf({ type: 'webhook', url: 'ftp://x' }), 'rules[0].action.url', /https:\/\//],
  [actionOf({ type: 'emit', topic: 'a.*' }), 'rules[0].action.topic', /segments/],
  [
    actionOf({ type: 'command', command: ['a'], env: { A: '${' } }),
    'rules[0].action.env.A',
    /\$\{DEPLOY_TARGET\}/,
  ],
  [
    actionOf({ type: 'command', command: ['a'], env: { '1A': 'x' } }),
    'rules[0].action.env["1A"]',
    /the name must be/,
  ],
  [{ webhook: { enabled: true } }, 'webhook.secret_env', /must name the environment variable/],
  [{ webhook: { port: 70_000 } }, 'webhook.port', /65535 or less/],
  [{ webhook: { secret_env: 'A-B' } }, 'webhook.secret_env', /name of an environment variable/],
  [{ webhook: { endpoints: [{ path: 'ci' }] } }, 'webhook.endpoints[0].path', /such as "\/ci"/],
  [{ webhook: { endpoints: [{ path: '/a' }, { path: '/a' }] } }, 'webhook.endpoints[1].path', /used twice/],
  [{ default_agent: 'nobody' }, 'default_agent', /no such agent/],
  [{ agents: { a: { fallback: 'claud' } } }, 'agents.a.fallback', /no such agent.* did you mean "claude"\?/],
  [
    { agents: { a: { fallback: 'a' } } },
    'agents.a.fallback',
    /leads back to the agent itself; end the chain/,
  ],
  [{ agents: { a: { fallback: 'b' }, b: { fallback: 'b' } } }, 'agents.b.fallback', /leads back/],
  [{ agents: { x: { provider: 'claud' } } }, 'agents.x.provider', /did you mean "claude"\?/],
  [{ agents: { x: { program: '' } } }, 'agents.x.program', /must not be empty/],
  [{ agents: { x: { provider: 'command' } } }, 'agents.x.command', /is missing; must be a list/],
  [{ agents: { x: { provider: 'command', command: ['a'], model: 'm' } } }, 'agents.x.model', /unknown key/],
  [{ agents: { x: { env: { A: '${B}' } } } }, 'agents.x.env.A', /env_allow/],
  [{ agents: { x: { env: { AIWG_ATTEMPT_ID: '1' } } } }, 'agents.x.env.AIWG_ATTEMPT_ID', /set by the daemon/],
  [{ agents: { 'a b': {} } }, 'agents["a b"]', /the name must begin/],
  [
    {
      default_agent: 's',
      agents: { s: { provider: 'command', command: ['a'] } },
      actions: { a: { prompt: 'x', agent: 't' } },
    },
    'actions.a.agent',
    /no such agent/,
  ],
  [{ budget: { per_day_usd: -1 } }, 'budget.per_day_usd', /must be 0 or more/],
  [{ messaging: { slak: {} } }, 'messaging.slak', /did you mean "slack"\?/],
  [{ messaging: { slack: { topics: ['**a**b**c**'] } } }, 'messaging.slack.topics[0]', /three times/],
  [{ mcp: { allow: ['task.submt'] } }, 'mcp.allow[0]', /did you mean "task.submit"\?/],
];

describe('faults', () => {
  it.each(FAULTS.map(([value, path, message]) => ({ json: JSON.stringify(value), path, message })))(
    '$path: $json',
    ({ json, path, message }) => {
      const problems = problemsOf(json);
      expect(problems.map((one) => one.path)).toEqual([path]);
      expect(`${problems[0]?.message}; ${problems[0]?.remedy ?? ''}`).toMatch(message);
      expect(JSON.stringify(problems)).not.toMatch(/Invalid input|unrecognized/i);
    },
  );

  it('tells all of them at once, in the order of the file', () => {
    const everything = {
      schedule: { jobs: [] as object[] },
      rules: [] as object[],
      demon: 1,
      webhook: { port: -1 },
    };
    everything.schedule.jobs.push(
      { id: 'a', cron: 'x', action: 'y', zone: 1 },
      { id: 'a', cron: '@daily', action: 'doctor' },
    );
    everything.rules.push({
      ...rule,
      modee: 'x',
      condition: { field: 'a', operator: 'matches', value: '(', x: 1 },
    });
    const problems = problemsOf(JSON.stringify(everything, null, 2));
    expect(problems.map((one) => one.path)).toEqual([
      'schedule.jobs[0].cron',
      'schedule.jobs[0].action',
      'schedule.jobs[0].zone',
      'schedule.jobs[1].id',
      'rules[0].modee',
      'rules[0].condition.value',
      'rules[0].condition.x',
      'demon',
      'webhook.port',
    ]);
  });

  it('names line, column and value', () => {
    const text =
      '{\n  // jobs\n  "schedule": {\n    "jobs": [{ "id": "a", "cron": "61 * * * *", "action": "doctor" }],\n  },\n}';
    expect(problemsOf(text)).toEqual([
      {
        path: 'schedule.jobs[0].cron',
        line: 4,
        column: 35,
        value: '"61 * * * *"',
        message: 'minutes go from 0 to 59; 61 is outside',
      },
    ]);
    expect(formatProblems('daemon.json', problemsOf(text))).toBe(
      'daemon.json:4:35  schedule.jobs[0].cron = "61 * * * *"  minutes go from 0 to 59; 61 is outside',
    );
    expect(formatProblems('f', problemsOf('{"demon": {}}'))).toBe(
      'f:1:2  demon = {}  unknown key; did you mean "daemon"?',
    );
  });

  it('shortens long values and long lists of problems', () => {
    expect(problemsOf(JSON.stringify({ default_agent: 'x'.repeat(5000) }))[0]?.value?.length).toBeLessThan(
      100,
    );
    const many = problemsOf(JSON.stringify({ watch: { paths: Array.from({ length: 5000 }, () => 1) } }));
    expect(many).toHaveLength(1000);
    expect(formatProblems('f', many).split('\n')).toHaveLength(51);
    expect(formatProblems('f', many)).toContain('… and 950 more');
  });
});

describe('the text of the file', () => {
  it.each(['{}', '\uFEFF{}', '// a\n{ /* b */ "daemon": { "max_parallel_actions": 2, }, }', '\r\n{}\r\n'])(
    '%j is right',
    (text) => {
      expect(parseConfig(text, 'daemon.json').ok).toBe(true);
    },
  );

  it.each([
    ['', /is empty; the least that is right is \{\}/],
    ['  \n ', /is empty/],
    ['\uFEFF', /is empty/],
    ['// only this', /is empty/],
    ['null', /must be an object/],
    ['[]', /must be an object/],
    ['"a"', /must be an object/],
    ['{', /closing \} is missing/],
    ['{"daemon": {}', /closing \} is missing/],
    ['{"daemon" {}}', /colon is expected/],
    ['{"daemon": {} "watch": {}}', /comma is expected/],
    ["{'daemon': {}}", /key is expected here, in double quotes/],
    ['{} {}', /nothing may follow/],
    ['[[[[['.repeat(30_000), /nested more than 100/],
    [JSON.stringify({ watch: { paths: Array.from({ length: 200_000 }, () => 1) } }), /too large/],
    ['{"daemon": {}, "daemon": {}}', /daemon = \{\} {2}stands here twice/],
    ['{"__proto__": {"x": 1}}', /__proto__ .*unknown key/],
    ['{"daemon": {"constructor": 1}}', /daemon.constructor = 1 {2}unknown key/],
  ])('%.40j is refused', (text, message) => {
    const parsed = parseConfig(text, 'daemon.json');
    if (parsed.ok) throw new Error('was taken');
    expect(formatProblems('daemon.json', parsed.problems)).toMatch(message);
  });

  it('takes no long time, whatever stands in it', () => {
    const started = performance.now();
    for (const part of ['eyJ-', 'sk-ant-', '://a:b', '-M', '-----BEGIN ', '*,', '1', ' ']) {
      const long = part.repeat(1_000_000 / part.length);
      problemsOf(
        JSON.stringify({ schedule: { jobs: [{ id: long, cron: long, action: long, timezone: long }] } }),
      );
    }
    problemsOf(
      JSON.stringify(Object.fromEntries(Array.from({ length: 3_000 }, (_, index) => [`key${index}`, 1]))),
    );
    // Takes about a second; with a pattern of square time it would be hours.
    expect(performance.now() - started).toBeLessThan(20_000);
  });

  it('counts lines and columns behind a byte-order mark and line ends of Windows', () => {
    expect(problemsOf('\uFEFF{"demon": 1}')[0]).toMatchObject({ line: 1, column: 2 });
    expect(problemsOf('{\r\n "demon": 1}')[0]).toMatchObject({ line: 2, column: 2 });
  });
});

function warningsOf(value: unknown): string[] {
  const parsed = parseConfig(JSON.stringify(value), 'f');
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.warnings.map(({ path, message }) => `${path} ${message}`);
}

describe('warnings', () => {
  it('tells what is allowed but does nothing', () => {
    expect(warningsOf(jobWith({ cron: '0 0 31 2 *' }))).toEqual([
      'schedule.jobs[0].cron never fires: no year has this date',
    ]);
    expect(warningsOf(jobWith({ cron: '0 0 29 2 *' }))).toEqual([]);
    expect(warningsOf(jobWith({ cron: '0 0 31 2 mon' }))).toEqual([]);
    const watching = { type: 'file_change', pattern: '**' };
    expect(warningsOf(ruleWith({ trigger: watching }))).toEqual([
      'rules[0].trigger never fires: no files are watched',
    ]);
    expect(warningsOf({ ...ruleWith({ trigger: watching }), watch: { paths: ['.'] } })).toEqual([]);
  });

  it('takes an unknown agent for a sub-agent of claude, but wonders at a near name', () => {
    const agents = { reviewer: {} };
    expect(warningsOf({ agents, actions: { a: { prompt: 'x', agent: 'security-auditor' } } })).toEqual([]);
    expect(warningsOf({ agents, actions: { a: { prompt: 'x', agent: 'reviewr' } } })).toEqual([
      'actions.a.agent is no agent of `agents`, so a sub-agent of claude',
    ]);
  });
});
