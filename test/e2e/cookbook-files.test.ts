import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Task } from '#aiwgd/protocol/task.js';
import { until } from '../support/temp.js';
import { Kitchen } from './cookbook-page.js';

/** Something that was there before the recipe. */
function put(kitchen: Kitchen, name: string, text: string): void {
  const path = join(kitchen.project.root, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** Now, in the middle of the day and in the middle of the night somewhere, as zones whose names need no table. */
function zones(): { day: string; night: string } {
  const hour = new Date().getUTCHours();
  const zoneWith = (local: number): string => {
    const offset = ((local - hour + 36) % 24) - 12;
    // The sign of these names is the other way round.
    return `Etc/GMT${offset > 0 ? '-' : '+'}${Math.abs(offset)}`;
  };
  return { day: zoneWith(12), night: zoneWith(3) };
}

/** A change right after a task may still be its own: that is over now. */
async function pastDoubt(task: Task | undefined): Promise<void> {
  const ended = Date.parse(task?.completedAt ?? '');
  await until('the task has ended a while ago', () => Date.now() > ended + 500);
}

describe('the cookbook, with files', () => {
  it('1: many changes make one task that names the files', async () => {
    const kitchen = new Kitchen(1);
    await kitchen.start();
    await kitchen.step();
    const [task, ...others] = await kitchen.ended(1);
    expect(others).toEqual([]);
    expect(task).toMatchObject({ state: 'completed', ruleId: 'tests', source: 'rule', timeoutMs: 1_200_000 });
    expect(task?.prompt).toMatch(
      /^These files changed: "src\/(add|sub)\.js", "src\/(add|sub)\.js"\. Run the tests that belong to them\./,
    );
    expect(task?.result).toContain('I was asked: These files changed');
    const shown = await kitchen.step();
    expect(shown).toContain('task-0001');
    expect(shown).toContain('submit_task done: task-0001');
    const entry = await kitchen.traced('tests', 'fired');
    expect(entry).toMatchObject({ count: 2, conditions: [{ result: 'true', why: 'it has been quiet' }] });
  });

  it('1: what its own agent changes does not fire it again', async () => {
    const kitchen = new Kitchen(1);
    put(kitchen, '.aiwg/try/claude', '#!/bin/sh\ncat > src/mended.js\nsleep 1\necho no result\n');
    await kitchen.start();
    await kitchen.step();
    const entry = await kitchen.traced('tests', 'self');
    expect(entry.event).toMatchObject({ path: 'src/mended.js' });
    expect(entry.why).toContain('task-0001');
    expect(await kitchen.tasks()).toHaveLength(1);
  });

  it('2: a reviewer that may change nothing reads what came in, and its answer is told', async () => {
    const kitchen = new Kitchen(2);
    await kitchen.start();
    await kitchen.step();
    const told = await kitchen.event('notify.warning');
    const [task, ...others] = await kitchen.tasks();
    expect(others).toEqual([]);
    expect(task).toMatchObject({ agent: 'reviewer', state: 'completed' });
    expect(task?.prompt).toContain('"package.json"');
    expect(task?.prompt).toContain('"package-lock.json"');
    expect(told.payload).toMatchObject({
      ruleId: 'dependencies',
      message: expect.stringContaining(
        'Review of changed dependencies: I was asked: The dependencies of this',
      ),
    });
    expect(await kitchen.step()).toContain('Review of changed dependencies');
  });

  it('5: a command decides whether a log is worth an agent', async () => {
    const kitchen = new Kitchen(5);
    put(kitchen, '.gitignore', '*.log\n');
    await kitchen.start();
    await kitchen.step();
    const no = await kitchen.traced('log-errors', 'conditions');
    expect(no.conditions).toMatchObject([{ result: 'true' }, { result: 'false', why: 'it ended with 1' }]);
    expect(await kitchen.step()).toContain('it ended with 1');
    await kitchen.step();
    const [task] = await kitchen.ended(1);
    expect(task?.prompt).toContain('the last lines of the log "logs/app.log"');
    await pastDoubt(task);
    await kitchen.step();
    await until('the second error is throttled', async () =>
      (await kitchen.traces('log-errors')).some(
        ({ outcome, why }) => outcome === 'conditions' && why.startsWith('throttle'),
      ),
    );
    expect(await kitchen.tasks()).toHaveLength(1);
    expect(kitchen.stepsLeft).toBe(0);
  });

  it('9: works by day and not by night', async () => {
    const day = new Kitchen(9);
    day.project.env['TZ'] = zones().day;
    // On Saturdays and Sundays nobody is in the office.
    const today = new Date().toLocaleDateString('en-US', { weekday: 'short', timeZone: zones().day });
    const text = readFileSync(day.project.paths.config, 'utf8').replace(
      '"fri"',
      `"fri","${today.toLowerCase()}"`,
    );
    writeFileSync(day.project.paths.config, text);
    await day.start();
    await day.step();
    const [task] = await day.ended(1);
    expect(task).toMatchObject({
      agent: 'thorough',
      prompt: expect.stringContaining('"design/payments.md"'),
    });
    await pastDoubt(task);
    appendFileSync(join(day.project.root, 'design/payments.md'), 'by card\n');
    const second = await day.traced('read-design', 'conditions');
    expect(second.why).toContain('throttle');

    const night = new Kitchen(9);
    night.project.env['TZ'] = zones().night;
    await night.start();
    await night.step();
    const passedOver = await night.traced('read-design', 'conditions');
    expect(passedOver.why).toMatch(/it is \w+ 0[34]:\d\d/);
    expect(await night.step()).toMatch(/it is \w+ 0[34]:/);
    expect(await night.tasks()).toEqual([]);
  });

  it("10: takes the original program's form, and asks before it acts", async () => {
    const kitchen = new Kitchen(10);
    put(kitchen, 'src/api/users.ts', 'export const version = 1;\n');
    await kitchen.start();
    await kitchen.step();
    await kitchen.event('gate.pending');
    expect(await kitchen.tasks()).toEqual([]);
    expect(await kitchen.step()).toContain('The file "src/api/users.ts" of our public API was changed.');
    await kitchen.step();
    const [task] = await kitchen.ended(1);
    expect(task?.prompt).toContain('The file "src/api/users.ts" of our public API was changed.');
    await pastDoubt(task);
    appendFileSync(join(kitchen.project.root, 'src/api/users.ts'), 'export const next = 3;\n');
    await until('the rule rests', async () =>
      (await kitchen.traces('api-change')).some(
        ({ outcome, why }) => outcome === 'dropped' && why.includes('cooldown'),
      ),
    );
    expect(await kitchen.tasks()).toHaveLength(1);
  });
});
