import { describe, expect, it } from 'vitest';
import { parseConfig } from '#aiwgd/protocol/config/read-config.js';

function problemsOf(config: object): string[] {
  const parsed = parseConfig(JSON.stringify(config), 'daemon.json');
  return parsed.ok
    ? []
    : parsed.problems.map(({ path, message, remedy }) => `${path}: ${message}${remedy ? `; ${remedy}` : ''}`);
}

const doing = (action: object): object => ({
  rules: [{ id: 'r', trigger: { type: 'event', topic: 'a' }, action }],
});
const running = (...command: string[]): object => doing({ type: 'command', command });
const prompting = (prompt: string): object => doing({ type: 'submit_task', prompt });
const job = (action: object): object => ({ schedule: { jobs: [{ id: 'j', cron: '@daily', action }] } });

/** A configuration, the path of its one problem, and what the message must say. */
const FAULTS: [object, string, RegExp][] = [
  [prompting('Mend {{payload.path'), 'rules[0].action.prompt', /has a \{\{ that no \}\} closes/],
  [prompting('{{ }}'), 'rules[0].action.prompt', /empty placeholder/],
  [prompting('{{pyload.path}}'), 'rules[0].action.prompt', /did you mean \{\{payload\.path\}\}\?/],
  [prompting('{{file}}'), 'rules[0].action.prompt', /did you mean \{\{files\}\}\?/],
  [prompting('{{previous.taskid}}'), 'rules[0].action.prompt', /did you mean \{\{previous\.taskId\}\}\?/],
  [prompting('{{rule.id.x}}'), 'rules[0].action.prompt', /did you mean \{\{rule\.id\}\}\?/],
  [prompting('{{payload..x}}'), 'rules[0].action.prompt', /unknown placeholder/],
  [prompting('${{ secrets.X }}'), 'rules[0].action.prompt', /for the braces themselves/],
  [doing({ type: 'notify', message: '{{x}}' }), 'rules[0].action.message', /unknown placeholder/],
  [doing({ type: 'gate', summary: '{{}}' }), 'rules[0].action.summary', /empty placeholder/],
  [
    doing({ type: 'emit', topic: 'b', payload: { a: [{ b: '{{payload' }] } }),
    'rules[0].action.payload',
    /closes/,
  ],
  [running('make', '{{payload.path}}'), 'rules[0].action.command', /behind "--".*\$AIWG_EVENT_PATH/],
  [running('{{payload.path}}'), 'rules[0].action.command', /before a "--"/],
  [running('make', '--', '-f{{payload.path}}'), 'rules[0].action.command', /argument of its own/],
  [running('make', '--', '{{pyload.path}}'), 'rules[0].action.command', /did you mean/],
  [running('sh', '-c', 'make {{files}}'), 'rules[0].action.command', /before a "--"/],
  [
    running('env', 'bash', '-c', '--', '{{files}}'),
    'rules[0].action.command',
    /bash takes them for its script/,
  ],
  [running('ssh', 'host', 'make', '--', '{{files}}'), 'rules[0].action.command', /ssh hands them to a shell/],
  [
    {
      rules: [
        {
          id: 'r',
          trigger: { type: 'event', topic: 'a' },
          action: { type: 'gate' },
          condition: { type: 'shell', command: ['test', '-e', '--', '{{payload.path}}'] },
        },
      ],
    },
    'rules[0].condition.command',
    /nothing fills in here; .*stdin/,
  ],
  [job({ command: ['make', '{{files}}'] }), 'schedule.jobs[0].action.command', /a job has no event/],
  [job({ prompt: 'Mend {{files}}' }), 'schedule.jobs[0].action.prompt', /a job has no event/],
];

describe('templates in the configuration', () => {
  it.each(FAULTS)('refuses %j', (config, path, message) => {
    const problems = problemsOf(config);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(message);
    expect(problems[0]?.startsWith(`${path}: `)).toBe(true);
  });

  it.each([
    prompting(
      "{{files}} {{count}} {{payload}} {{ payload.a.b }} {{event.payload.x}} {{previous.result}} {{'{{'}}",
    ),
    prompting('a }} b { c } { {'),
    running('make', '--', '{{files}}', '{{payload.a.b}}'),
    running('docker', 'ps', '--format', '{{.Names}} {{json .}}'),
    running('sh', '-c', 'make "$1"', 'make', '--', '{{payload.path}}'),
    running('git', 'add', '--', '{{files}}'),
    job({ command: ['docker', 'ps', '--format', '{{.Names}}'] }),
    job({ prompt: 'Mend the template {{{x}}}' }),
  ])('takes %j', (config) => {
    expect(problemsOf(config)).toEqual([]);
  });
});
