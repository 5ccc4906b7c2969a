import * as fc from 'fast-check';
import picomatch from 'picomatch';
import { describe, expect, it } from 'vitest';
import { RuleIndex } from '#aiwgd/automation/rules/rule-index.js';
import { explainTrigger, triggerJobId, triggerWords } from '#aiwgd/automation/rules/triggers.js';
import type { AiwgEvent } from '#aiwgd/protocol/event.js';
import { eventOf, fileEvent, rulesOf } from './rule-kit.js';

function found(event: AiwgEvent, ...triggers: object[]): string[] {
  const rules = rulesOf(...triggers.map((trigger) => ({ trigger })));
  return new RuleIndex(rules).candidates(event).map(({ id }) => id);
}

const files = (pattern: string, events?: string[]): object => ({
  type: 'file_change',
  pattern,
  ...(events ? { events } : {}),
});

describe('the index', () => {
  it('finds the rules of a file in the order of the configuration', () => {
    const patterns = ['**', 'src/**', 'lib/**', 'src/**/*.ts', '**/*.md', 'src/a/b.ts', 'src', './src/a/*'];
    expect(found(fileEvent('modify', 'src/a/b.ts'), ...patterns.map((one) => files(one)))).toEqual([
      'r0',
      'r1',
      'r3',
      'r5',
      'r7',
    ]);
  });

  it('only takes the kinds of changes that the trigger names, and only from the watcher', () => {
    expect(found(fileEvent('create', 'a'), files('**', ['delete']), files('**', ['create']))).toEqual(['r1']);
    expect(found(eventOf('file.create', { path: 'a' }), files('**'))).toEqual([]);
    expect(found(eventOf('file.create', { path: 7 }, 'file_watcher'), files('**'))).toEqual([]);
  });

  it('takes hidden files, and tells a star from a path', () => {
    expect(found(fileEvent('modify', 'src/.env/x'), files('src/**'), files('src/*'))).toEqual(['r0']);
  });

  it('finds rules by topic, by type with source and pattern, each rule once', () => {
    const rules = rulesOf(
      { triggers: [{ type: 'event', topic: 'build.*' }, { type: 'build.failed' }] },
      { trigger: { type: 'build.failed', source: 'ci' } },
      { trigger: { type: 'build.failed', pattern: '^build\\.failed:r' } },
      { trigger: { type: 'event', topic: 'task:*' } },
    );
    const index = new RuleIndex(rules);
    expect(index.candidates(eventOf('build.failed')).map(({ id }) => id)).toEqual(['r0', 'r2']);
    expect(index.candidates(eventOf('build.failed', {}, 'ci')).map(({ id }) => id)).toEqual(['r0', 'r1']);
    expect(index.candidates(eventOf('build.done')).map(({ id }) => id)).toEqual(['r0']);
  });

  it('finds a time by its job, and only from the scheduler', () => {
    const times = rulesOf({
      triggers: [
        { type: 'event', topic: 'x' },
        { type: 'schedule', cron: '@daily' },
      ],
    });
    const fired = { job_id: triggerJobId('r0', 1) };
    const index = new RuleIndex(times);
    expect(index.candidates(eventOf('cron.fired', fired, 'scheduler'))).toHaveLength(1);
    expect(index.candidates(eventOf('cron.fired', fired))).toEqual([]);
    expect(index.candidates(eventOf('cron.fired', { job_id: 'rule:r0:0' }, 'scheduler'))).toEqual([]);
  });

  it('goes on finding when it has seen more topics than it remembers', () => {
    const index = new RuleIndex(rulesOf({ trigger: { type: 'event', topic: 'a.*' } }));
    for (let at = 0; at < 2_500; at += 1) expect(index.candidates(eventOf(`a.${at}`))).toHaveLength(1);
    expect(index.candidates(eventOf('b.1'))).toEqual([]);
  });

  it('finds what asking every glob would find', () => {
    const name = fc.constantFrom('a', 'b', 'src', '.x', 'a.ts', 'b.test.ts', 'c.md', 'd');
    const part = fc.oneof(
      name,
      fc.constantFrom(
        '*',
        '**',
        '*.ts',
        '*.md',
        '{a,src}',
        'a*',
        '?',
        '[ab]',
        '*.{ts,md}',
        '!(a)',
        '!a',
        '.',
        '@(a|b).ts',
        'a|b',
        'a\\.ts',
      ),
    );
    const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
    const glob = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
    fc.assert(
      fc.property(fc.array(glob, { minLength: 1, maxLength: 20 }), path, (globs, one) => {
        const expected = globs
          .map((pattern, index) => (picomatch(pattern, { dot: true, posix: true })(one) ? `r${index}` : ''))
          .filter((id) => id !== '');
        expect(found(fileEvent('modify', one), ...globs.map((pattern) => files(pattern)))).toEqual(expected);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('why a trigger does not match', () => {
  const why = (event: AiwgEvent, ...triggers: object[]): string =>
    explainTrigger(rulesOf({ triggers })[0]!, event).why;

  it('names the pattern and the path, and what was meant by a folder', () => {
    expect(why(fileEvent('modify', 'docs/a.md'), files('src/**'))).toBe(
      'the pattern src/** does not match docs/a.md',
    );
    expect(why(fileEvent('modify', 'src/a.ts'), files('src'))).toMatch(
      /all that is in the folder is src\/\*\*/,
    );
  });

  it('names the kinds of changes, the source, the topic, the time', () => {
    expect(why(fileEvent('modify', 'a'), files('**', ['create']))).toMatch(/listens to file.create only/);
    expect(why(eventOf('file.modify', { path: 'a' }), files('**'))).toMatch(
      /only counts from .*file_watcher/,
    );
    expect(why(eventOf('a'), { type: 'event', topic: 'b.*' })).toMatch(/topic b\.\* does not match a/);
    expect(why(eventOf('a'), { type: 'a', source: 's' })).toMatch(/source s, not to rpc/);
    expect(why(eventOf('a'), { type: 'a', pattern: 'z' })).toMatch(/pattern z does not match "a:rpc"/);
    expect(why(eventOf('a'), { type: 'schedule', cron: '@daily' })).toMatch(/waits for the time @daily/);
    expect(why(eventOf('a'), { type: 'b' }, { type: 'c' })).toBe(
      'listens to b, not to a; listens to c, not to a',
    );
  });

  it('agrees with the index', () => {
    const rules = rulesOf({ triggers: [files('src/**'), { type: 'event', topic: 'a' }] });
    expect(explainTrigger(rules[0]!, fileEvent('create', 'src/x'))).toEqual({
      matches: true,
      why: 'src/x matches src/**',
    });
    expect(triggerWords(rules[0]!)).toBe('file_change src/**, or event a');
  });
});
