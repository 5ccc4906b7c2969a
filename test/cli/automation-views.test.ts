import { describe, expect, test } from 'vitest';
import { painter } from '#aiwgd/cli/output/color.js';
import { formatLocalTime } from '#aiwgd/cli/output/format.js';
import { automationLines, verdictLines } from '#aiwgd/cli/views/automation-views.js';
import { answeredLines, gateListLines } from '#aiwgd/cli/views/gate-views.js';
import { automationText, schedulerText, watcherText, webhookText } from '#aiwgd/cli/views/source-lines.js';
import { traceLines } from '#aiwgd/cli/views/trace-view.js';
import type { Gate, TraceEntry } from '#aiwgd/protocol/automation.js';

const plain = painter(false);
const NOW = Date.UTC(2026, 10, 22, 12);
const ago = (minutes: number): string => new Date(NOW - minutes * 60_000).toISOString();
const local = (minutes: number): string => formatLocalTime(NOW - minutes * 60_000);

const gate = (more: Partial<Gate> = {}): Gate => ({
  id: 'gate-0001',
  state: 'pending',
  kind: 'rule',
  summary: 'Deploy the docs?',
  action: 'command ["./deploy.sh"]\nthen emit docs.deployed',
  always: null,
  ruleId: 'deploy',
  taskId: null,
  createdAt: ago(2),
  expiresAt: ago(-58),
  answeredBy: null,
  reason: null,
  ...more,
});

describe('gates', () => {
  test('show the question and exactly what will be done, the oldest first', () => {
    const newer = gate({ id: 'gate-0002', kind: 'action', taskId: 'task-0009' });
    expect(gateListLines([newer, gate()], 'pending', NOW, plain)).toEqual([
      'gate-0001  pending  asked 2m ago before all of rule deploy; expires in 58m',
      '  Deploy the docs?',
      '  After a yes:',
      '    │ command ["./deploy.sh"]',
      '    │ then emit docs.deployed',
      '',
      'gate-0002  pending  asked 2m ago within a run of rule deploy, task-0009; expires in 58m',
      '  Deploy the docs?',
      '  After a yes:',
      '    │ command ["./deploy.sh"]',
      '    │ then emit docs.deployed',
      '',
      'Answer with: aiwgd gate approve ID, or aiwgd gate reject ID [REASON]',
    ]);
  });

  test('of an agent show the tool and all that it would get, long texts with their own lines', () => {
    const input = { file_path: 'a.md', content: 'one\n\u202etwo\n', limit: 3, options: { deep: true } };
    const action = JSON.stringify({ tool: 'Write', cwd: '/home/alice/p', input });
    const asked = { kind: 'permission', taskId: 'task-0007', ruleId: null, always: 'Edit(**)' } as const;
    expect(gateListLines([gate({ ...asked, action, summary: 'Write?' })], 'pending', NOW, plain)).toEqual([
      'gate-0001  pending  asked 2m ago by the agent of task-0007; expires in 58m',
      '  Write?',
      '  After a yes:',
      '    │ Write in /home/alice/p',
      '    │ file_path: "a.md"',
      '    │ content:',
      '    │   one',
      '    │   \\u202etwo',
      '    │   ',
      '    │ limit: 3',
      '    │ options:',
      '    │   {',
      '    │     "deep": true',
      '    │   }',
      '  always: Edit(**)',
      '',
      'Answer with: aiwgd gate approve ID [--always], or aiwgd gate reject ID [REASON]',
    ]);
    const odd = gateListLines([gate({ ...asked, action: '{"tool":\n1}' })], 'pending', NOW, plain);
    expect(odd.slice(3, 5)).toEqual(['    │ {"tool":', '    │ 1}']);
  });

  test('say who answered, and why', () => {
    const answeredBy = 'uid 1000 (alice) over the socket';
    const lines = gateListLines(
      [
        gate({ id: 'gate-0003', state: 'expired' }),
        gate({ id: 'gate-0002', state: 'rejected', answeredBy, reason: 'not on a Friday' }),
        gate({ state: 'approved', answeredBy }),
      ],
      'all',
      NOW,
      plain,
    );
    expect(lines.filter((line) => line.startsWith('gate-'))).toEqual([
      `gate-0001  approved  asked 2m ago before all of rule deploy; by ${answeredBy}`,
      `gate-0002  rejected  asked 2m ago before all of rule deploy; by ${answeredBy}: not on a Friday`,
      'gate-0003  expired  asked 2m ago before all of rule deploy; nobody answered in time',
    ]);
    expect(lines.join('\n')).not.toMatch('After a yes');
    expect(lines.join('\n')).not.toMatch('Answer with');
  });

  test('say so where there are none', () => {
    expect(gateListLines([], 'pending', NOW, plain)).toEqual(['Nothing waits for an answer']);
    expect(gateListLines([], 'all', NOW, plain)).toEqual(['No gates']);
    expect(gateListLines([], 'expired', NOW, plain)).toEqual(['No expired gates']);
  });

  test('cannot be made to look like something else', () => {
    const action = 'emit x\n\u001b[1A\u202eAnswer with: aiwgd gate approve gate-0002\rok';
    const lines = gateListLines([gate({ action })], 'pending', NOW, plain);
    expect(lines[4]).toBe('    │ ␛[1A\\u202eAnswer with: aiwgd gate approve gate-0002␍ok');
  });

  test('answered ones repeat what the answer was about', () => {
    expect(answeredLines(gate({ state: 'approved' }), plain)).toEqual([
      'gate-0001 approved  Deploy the docs?',
      '  This is done now:',
      '    │ command ["./deploy.sh"]',
      '    │ then emit docs.deployed',
    ]);
    expect(answeredLines(gate({ state: 'rejected', reason: 'no' }), plain).slice(0, 2)).toEqual([
      'gate-0001 rejected: no  Deploy the docs?',
      '  This is not done:',
    ]);
  });
});

describe('the trace', () => {
  const entry = (more: Partial<TraceEntry> = {}): TraceEntry => ({
    id: 1,
    ruleId: 'docs',
    at: ago(5),
    lastAt: ago(5),
    count: 1,
    event: { id: 'e1', type: 'file.modify', path: 'src/a.md' },
    outcome: 'fired',
    why: '',
    conditions: [],
    runId: 'run-1',
    actions: [],
    ...more,
  });

  test('says in a line what became of an event and why, and below it what was judged and done', () => {
    const lines = traceLines(
      {
        entries: [
          entry({
            at: ago(1),
            lastAt: ago(1),
            outcome: 'conditions',
            why: 'payload.path matches ^docs/ is false',
            conditions: [
              { condition: 'time 22:00-06:00', result: 'true', why: 'it is 23:10' },
              { condition: 'payload.path matches ^docs/', result: 'false', why: 'it is "src/a.md"' },
              { condition: 'debounce 2s', result: 'open', why: '' },
              { condition: 'shell ["./check"]', result: 'skipped', why: 'decided before' },
            ],
          }),
          entry({
            actions: [
              { type: 'submit_task', state: 'done', detail: 'task-0007 completed' },
              { type: 'command', state: 'failed', detail: 'exit code 2' },
              { type: 'emit', state: 'skipped', detail: '' },
            ],
          }),
        ],
        unseen: [],
      },
      plain,
    );
    expect(lines).toEqual([
      `${local(5)}  docs  file.modify src/a.md  fired`,
      '    ✓ submit_task done: task-0007 completed',
      '    ✗ command failed: exit code 2',
      '    · emit skipped',
      `${local(1)}  docs  file.modify src/a.md  conditions not met: payload.path matches ^docs/ is false`,
      '    ✓ if time 22:00-06:00: it is 23:10',
      '    ✗ if payload.path matches ^docs/: it is "src/a.md"',
      '    … if debounce 2s',
      '    · if shell ["./check"]: decided before',
    ]);
  });

  test('counts what repeats, names no path where there is none, and explains rules that nothing triggered', () => {
    const event = { id: 'e2', type: 'build.failed', path: null };
    const dropped = entry({ event, outcome: 'dropped', why: 'cooldown', count: 12, lastAt: ago(3) });
    const unseen = [
      { ruleId: 'nightly', why: 'its pattern docs/** matches none of the last 40 file events' },
    ];
    expect(traceLines({ entries: [dropped], unseen }, plain)).toEqual([
      `${local(5)}  docs  build.failed  dropped: cooldown ×12, the last at ${local(3)}`,
      '',
      'nightly  nothing has triggered it yet: its pattern docs/** matches none of the last 40 file events',
    ]);
    expect(traceLines({ entries: [], unseen: [] }, plain)).toEqual(['Nothing has triggered a rule yet']);
  });

  test('lets no event paint on the terminal', () => {
    const event = { id: 'e', type: 'file.create', path: 'a\u001b[2J\nb' };
    expect(traceLines({ entries: [entry({ event })], unseen: [] }, plain)).toEqual([
      `${local(5)}  docs  file.create a␛[2J b  fired`,
    ]);
  });
});

describe('automation', () => {
  test('lists the rules with their state, and the newest runs', () => {
    const rule = {
      description: null,
      trigger: 'file_change src/**',
      enabled: true,
      paused: false,
      lastFiredAt: ago(3),
      firedCount: 7,
      running: 1,
      waiting: 2,
    };
    const run = {
      runId: 'run-1',
      ruleId: 'docs',
      jobId: null,
      state: 'failed' as const,
      startedAt: ago(3),
      endedAt: ago(2),
      eventId: 'e1',
      taskIds: ['task-0007', 'task-0008'],
      error: 'exit code 2',
    };
    const rules = [
      { ...rule, id: 'docs' },
      { ...rule, id: 'loop', paused: true, running: 0, waiting: 0 },
      { ...rule, id: 'old', enabled: false, lastFiredAt: null, firedCount: 0, running: 0, waiting: 0 },
    ];
    const recentExecutions = [
      run,
      { ...run, runId: 'run-2', ruleId: null, jobId: 'nightly', taskIds: [], error: null },
    ];
    const status = { enabled: true, ruleCount: 3, rules, recentExecutions };
    const lines = automationLines(status, NOW, Number.POSITIVE_INFINITY, plain);
    expect(lines).toEqual([
      'Automation is on: 3 rules',
      'Rule loop fired too often and has paused itself; aiwgd automation enable --rule loop lets it go on',
      '',
      'RULE  STATE   FIRED    LAST  AT WORK               TRIGGER',
      'docs  on          7  3m ago  1 running, 2 waiting  file_change src/**',
      'loop  paused      7  3m ago  -                     file_change src/**',
      'old   off         0       -  -                     file_change src/**',
      '',
      'RUN    OF           STATE   STARTED  TOOK  TASKS                ERROR',
      'run-1  docs         failed   3m ago    1m  task-0007 task-0008  exit code 2',
      'run-2  job nightly  failed   3m ago    1m  -',
    ]);
    expect(
      automationLines({ ...status, enabled: false, rules: [], recentExecutions: [] }, NOW, 80, plain),
    ).toEqual(['Automation is off: no rule fires until aiwgd automation enable']);
  });

  test('a dry run names the rules that would fire first', () => {
    const times = Array.from({ length: 12 }, (_, n) => ago(12 - n));
    expect(
      verdictLines(
        [
          { ruleId: 'docs', fires: false, why: 'its pattern is docs/**' },
          { ruleId: 'tests', fires: true, why: 'src/** matches', times },
        ],
        plain,
      ),
    ).toEqual([
      '✓ tests  fires: src/** matches',
      `    12 times: ${Array.from({ length: 10 }, (_, n) => local(10 - n)).join(', ')}, and 2 earlier`,
      '✗ docs  does not fire: its pattern is docs/**',
    ]);
    expect(verdictLines([], plain)).toEqual(['There are no rules']);
  });
});

describe('the status', () => {
  test('says what automation and the sources are at', () => {
    const rule = {
      id: 'r',
      description: null,
      trigger: 'event x',
      enabled: true,
      paused: false,
      lastFiredAt: null,
      firedCount: 0,
      running: 0,
      waiting: 0,
    };
    const rules = [{ ...rule, paused: true }, rule, { ...rule, paused: true, enabled: false }];
    const base = { enabled: true, ruleCount: 3, rules, recentExecutions: [], gatesPending: 2 };
    expect(automationText(base)).toBe('3 rules, 1 paused, 2 gates wait for an answer (aiwgd gate list)');
    expect(automationText({ ...base, rules: [rule], gatesPending: 0 })).toBe('1 rule');
    expect(automationText({ ...base, enabled: false, gatesPending: 1 })).toBe(
      'off, 1 gate waits for an answer (aiwgd gate list)',
    );
    const watcher = {
      enabled: true,
      paths: ['docs', { path: 'src' }],
      files: 12,
      directories: 1,
      events_received: 3,
    };
    expect(watcherText({ ...watcher, polling: false })).toBe('docs, src: 12 files, 1 folder, 3 events');
    expect(watcherText({ ...watcher, polling: true })).toMatch(/, polling$/);
    const next = { id: 'nightly', at: ago(-60) };
    expect(schedulerText({ enabled: true, jobs: 3, next, last_fires: {} })).toBe(
      `3 jobs, next nightly at ${local(-60)}`,
    );
    expect(schedulerText({ enabled: true, jobs: [], next: null })).toBe('0 jobs');
    expect(webhookText({ enabled: true, host: '::1', port: 9471 })).toBe('http://[::1]:9471');
  });

  test('says off where a part is off, or unknown to that daemon', () => {
    expect([watcherText({ enabled: false }), schedulerText({ enabled: false })]).toEqual(['off', 'off']);
    expect([webhookText(undefined), webhookText({ enabled: false })]).toEqual(['off', 'off']);
  });
});
