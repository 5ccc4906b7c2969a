import { appendFileSync, lstatSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { until } from '../support/temp.js';
import { Watching } from './watching.js';

const MANY = 20_000;
const names = Array.from({ length: MANY }, (_, index) => `d${index % 20}/f${index}`);

/** All of them in one go: the event loop stands still, and the kernel's queue overflows. */
describe('a burst of 20,000', () => {
  it('creates, edits, renames and deletes is reported without a loss, each change once', async () => {
    const project = new Watching();
    for (let index = 0; index < 20; index += 1) mkdirSync(project.path(`d${index}`));
    await project.start();
    const expectAll = async (kinds: string[], all: string[]): Promise<void> => {
      await until(
        `${kinds.join()} of ${all.length}, not ${project.events.length}`,
        () => project.events.length >= all.length,
      ).catch(() => undefined);
      await project.settle();
      expect(project.events.length).toBe(all.length);
      expect(new Set(project.reports)).toEqual(new Set(all));
      project.clear();
    };
    for (const name of names) writeFileSync(project.path(name), 'x');
    await expectAll(
      ['create'],
      names.map((name) => `create ${name}`),
    );
    for (const name of names) appendFileSync(project.path(name), 'y');
    await expectAll(
      ['modify'],
      names.map((name) => `modify ${name}`),
    );
    for (const name of names) renameSync(project.path(name), project.path(`${name}.moved`));
    await expectAll(
      ['rename'],
      names.flatMap((name) => [`delete ${name}`, `create ${name}.moved`]),
    );
    for (const name of names) rmSync(project.path(`${name}.moved`));
    await expectAll(
      ['delete'],
      names.map((name) => `delete ${name}.moved`),
    );
  });

  it('in the middle of the first start makes no events of what was there before', async () => {
    const project = new Watching();
    for (let index = 0; index < 6_000; index += 1) project.write(`old${index % 300}/f${index}`);
    await until(
      'they are older than the start',
      () => Date.now() - lstatSync(project.path('old0/f0')).mtimeMs > 100,
    );
    const started = project.start({ debounce_ms: 1 });
    const made: string[] = [];
    await until('it has begun', () => (project.watcher?.status().directories ?? 0) > 20);
    for (let index = 0; index < 6_000; index += 1) {
      writeFileSync(project.path(`old${index % 15}/new${index}`), '');
      made.push(`create old${index % 15}/new${index}`);
    }
    await started;
    await until('the new ones', () => project.events.length >= made.length);
    await project.settle();
    expect(project.events.length).toBe(made.length);
    expect(new Set(project.reports)).toEqual(new Set(made));
  });
});
