import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { until } from '../support/temp.js';
import { freePort, Kitchen, RECIPES } from './cookbook-page.js';

/** What stands in for claude and comes to nothing. */
const FAILING_CLAUDE = `#!/bin/sh
cat > /dev/null
echo '{"type":"result","subtype":"error_max_turns","is_error":true,"session_id":"try"}'
exit 1
`;

/** The programs with which the page sends a signed request. */
const canSend = ['curl', 'openssl'].every((name) => spawnSync(name, ['--version']).error === undefined);

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

describe('the cookbook, with other events', () => {
  it('has ten recipes, each with a configuration', () => {
    expect([...RECIPES.keys()]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it.skipIf(!canSend)('3: a signed request about a failed build makes a task, once', async () => {
    const port = await freePort();
    const kitchen = new Kitchen(3, { ports: new Map([['9471', port]]) });
    kitchen.project.env['AIWG_WEBHOOK_SECRET'] = 'only for this test';
    const again = new Kitchen(3, { ports: new Map([['9471', port]]) });
    again.project.env['AIWG_WEBHOOK_SECRET'] = 'only for this test';
    await kitchen.start();
    expect(await kitchen.step()).toMatch(/^\{"event":"/);
    const [task] = await kitchen.ended(1);
    expect(task).toMatchObject({ priority: 10, ruleId: 'triage' });
    expect(task?.prompt).toMatch(
      /^Build 481 of the branch "main" failed in the step "unit tests"\. Find the commit/,
    );
    expect(await again.step()).toContain('{"duplicate":true}');
    expect(await kitchen.tasks()).toHaveLength(1);
  });

  it('4: the job can be run at once, and is listed with its outcome', async () => {
    const kitchen = new Kitchen(4);
    await kitchen.start();
    expect(await kitchen.step()).toMatch(/02:30/);
    const [task] = await kitchen.ended(1);
    expect(task).toMatchObject({ source: 'schedule', state: 'completed', timeoutMs: 2_700_000 });
    expect(task?.prompt).toContain('Read the commits since yesterday.');
    await until('the job has ended', async () =>
      (await kitchen.project.ok(['schedule', 'list'])).includes('completed'),
    );
    expect(await kitchen.step()).toContain('docs-refresh');
  });

  it('6: the release waits for a yes, and is then carried out as it was shown', async () => {
    const kitchen = new Kitchen(6);
    const released = join(kitchen.project.root, 'releases.txt');
    await kitchen.start();
    await kitchen.step();
    await kitchen.event('gate.pending');
    expect(await kitchen.step()).toContain('run "./release.sh" "--" "1.4.0"');
    expect(existsSync(released)).toBe(false);
    await kitchen.step();
    const told = await kitchen.event('notify.info');
    expect(told.payload['message']).toBe('Version 1.4.0 is released.');
    expect(readFileSync(released, 'utf8')).toBe('released 1.4.0\n');
    await kitchen.project.ok(['events', 'emit', 'release.requested', '{"version": "1.4.0; rm -rf /"}']);
    expect((await kitchen.traced('release', 'conditions')).why).toContain('payload.version matches');
  });

  it('7: a failure is told, sent and looked into; that of the one who looks is not', async () => {
    const port = await freePort();
    const kitchen = new Kitchen(7, { ports: new Map([['8123', port]]) });
    const { root, env } = kitchen.project;
    env['ALARM_SECRET'] = 'only for this test';
    const receiver = spawn(process.execPath, ['receiver.mjs'], { cwd: root, env, stdio: 'ignore' });
    onTestFinished(() => void receiver.kill('SIGKILL'));
    await until('the receiver listens', () => listens(port));
    await kitchen.start();
    await kitchen.step();
    const [failed, explained] = await kitchen.ended(2);
    expect(failed).toMatchObject({ agent: 'fails', state: 'failed' });
    expect(explained).toMatchObject({ state: 'completed', ruleId: 'failures' });
    expect(explained?.prompt).toMatch(/^The task "task-0001" failed: "exit 3: no luck today/);
    const seen = await kitchen.step();
    expect(seen).toMatch(/^signed rule:failures: task:failed task-0001\n/);
    expect(seen).toContain('task-0001 failed: exit 3: no luck today');

    writeFileSync(join(root, '.aiwg/try/claude'), FAILING_CLAUDE);
    await kitchen.project.ok(['task', 'submit', '--agent', 'fails', 'again']);
    const own = await kitchen.traced('failures', 'self');
    expect(own.why).toContain('task-0004');
    expect(await kitchen.tasks()).toHaveLength(4);
  });

  it('8: a chain of two rules comes to rest', async () => {
    const kitchen = new Kitchen(8);
    await kitchen.start();
    await kitchen.step();
    await until('the follow-up is not reviewed', async () =>
      (await kitchen.traces('review')).some(
        ({ outcome, why }) => outcome === 'self' && why.includes('task-0003'),
      ),
    );
    const tasks = await kitchen.ended(3);
    expect(tasks.map(({ agent, ruleId }) => [agent, ruleId])).toEqual([
      ['coder', null],
      ['reviewer', 'review'],
      ['coder', 'follow-up'],
    ]);
    expect(tasks[2]?.prompt).toContain('A review is the result of the task "task-0002"');
    expect(await kitchen.step()).toContain('caused by itself');
    expect(await kitchen.tasks()).toHaveLength(3);
  });
});
