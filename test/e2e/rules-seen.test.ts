import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RuleVerdict, ScheduledJob, TraceAnswer } from '#aiwgd/protocol/automation.js';
import type { Task } from '#aiwgd/protocol/task.js';
import { until } from '../support/temp.js';
import { Project, script } from './support.js';

const tasks = (p: Project): Promise<Task[]> => p.json<Task[]>(['task', 'list', '--limit', '100']);

function project(config: object): Project {
  const p = new Project({
    config: { default_agent: 'sh', agents: { sh: script('cat') }, schedule: { enabled: false }, ...config },
  });
  mkdirSync(join(p.root, 'src'));
  return p;
}

describe('automation test and trace', () => {
  it('say what would happen and do nothing, and why something did not', async () => {
    const p = project({
      watch: { paths: ['src/'], debounce_ms: 20 },
      rules: [
        {
          id: 'main-only',
          trigger: { type: 'event', topic: 'build.*' },
          condition: { field: 'payload.branch', operator: 'equals', value: 'main' },
          action: { type: 'agent', prompt: 'mend' },
        },
        {
          id: 'docs',
          trigger: { type: 'file_change', pattern: 'docs/**' },
          action: { type: 'agent', prompt: 'read' },
        },
      ],
    });
    await p.start();
    const event = JSON.stringify({ type: 'build.failed', payload: { branch: 'feature' } });
    const verdicts = await p.json<RuleVerdict[]>(['automation', 'test', '-'], { input: event });
    expect(verdicts.map(({ ruleId, fires }) => [ruleId, fires])).toEqual([
      ['main-only', false],
      ['docs', false],
    ]);
    expect(verdicts[0]?.why).toContain('feature');
    await p.ok(['events', 'emit', 'build.failed', '{"branch": "feature"}']);
    const text = await p.ok(['automation', 'trace']);
    expect(text).toContain('feature');
    expect(text).toContain('docs');
    expect(await tasks(p)).toEqual([]);
    expect((await p.run(['automation', 'trace', '--rule', 'nope'])).code).toBe(4);
  });

  it('a disabled rule stays disabled over restart and reload, and a changed file changes the rules at once', async () => {
    const rule = {
      id: 'r',
      trigger: { type: 'event', topic: 'go' },
      action: { type: 'agent', prompt: 'one' },
    };
    const config = { default_agent: 'sh', agents: { sh: script('cat') }, watch: { enabled: false } };
    const p = new Project({ config: { ...config, rules: [rule] } });
    await p.start();
    await p.ok(['automation', 'disable', '--rule', 'r']);
    await p.kill();
    await p.start();
    await p.ok(['events', 'emit', 'go']);
    p.configure({ ...config, rules: [rule, { ...rule, id: 's', action: { type: 'agent', prompt: 'two' } }] });
    await p.ok(['reload']);
    await p.ok(['events', 'emit', 'go']);
    await until('a task has ended', async () =>
      (await tasks(p)).some(({ completedAt }) => completedAt !== null),
    );
    expect((await tasks(p)).map(({ prompt }) => prompt)).toEqual(['two']);
    const { entries } = await p.json<TraceAnswer>(['automation', 'trace', '--rule', 'r']);
    expect(entries).toMatchObject([{ outcome: 'held', count: 2 }]);
  });
});

describe('the default configuration', () => {
  it('watches .aiwg/ without seeing what the daemon itself writes there', async () => {
    const p = new Project();
    await p.start();
    p.configure({
      ...(JSON.parse(readFileSync(p.paths.config, 'utf8')) as object),
      daemon: { heartbeat_interval_seconds: 1 },
    });
    const client = await p.connect();
    const seen = async (): Promise<unknown[]> =>
      (await client.event.history({ topic: 'file.*', limit: 100 })).map(({ payload }) => payload['path']);
    await until('the change of the configuration is told', async () => (await seen()).length > 0);
    await p.ok(['reload']);
    await p.ok(['task', 'submit', 'x', '--delay', '1h']);
    await p.ok(['schedule', 'run', 'health-check']);
    const heartbeat = readFileSync(p.paths.heartbeat, 'utf8');
    await until('there was a heartbeat', () => readFileSync(p.paths.heartbeat, 'utf8') !== heartbeat);
    writeFileSync(join(p.paths.aiwg, 'notes.md'), 'mine');
    await until('the note is told', async () => (await seen()).includes('.aiwg/notes.md'));
    expect(await seen()).toEqual(['.aiwg/daemon.json', '.aiwg/notes.md']);
    const [job] = await p.json<ScheduledJob[]>(['schedule', 'list']);
    expect(job).toMatchObject({ id: 'health-check', action: 'doctor', lastOutcome: expect.any(String) });
    const [run] = (await client.automation.status()).recentExecutions;
    const outcome = join(p.paths.actions, String(run?.runId), 'attempt-1');
    await until('the doctor has written his report', () => existsSync(join(outcome, 'result.json')));
    expect(readFileSync(join(outcome, 'stdout.log'), 'utf8')).toContain('disk');
  });
});
