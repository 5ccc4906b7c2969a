import { describe, expect, it } from 'vitest';
import { isTopic, isTopicGlob, topicMatcher } from '#aiwgd/protocol/topic.js';

describe('topics', () => {
  it.each([
    ['task:*', 'task:queued', true],
    ['task:*', 'task.queued', false],
    ['task:*', 'task:a.b', false],
    ['task:**', 'task:a.b', true],
    ['*', 'anything.at:all', true],
    ['file.*', 'file.modify', true],
    ['file.*', 'file', false],
    ['**.failed', 'ralph.loop.failed', true],
    ['build.failed', 'build.failed', true],
    ['build.failed', 'buildXfailed', false],
  ])('%s against %s: %s', (glob, topic, matches) => {
    expect(topicMatcher(glob)(topic)).toBe(matches);
  });

  it('refuses what could be neither a topic nor a glob', () => {
    for (const bad of ['', 'a..b', '.a', 'a.', 'a b', 'a\nb', 'ä', 'x'.repeat(257)]) {
      expect(isTopic(bad), bad).toBe(false);
      expect(isTopicGlob(bad), bad).toBe(false);
    }
    expect(isTopic('task:*')).toBe(false);
    expect(isTopicGlob('task:*')).toBe(true);
  });

  it('bounds the power of a glob, so that matching stays quick', () => {
    expect(isTopicGlob('**a**a**a')).toBe(true);
    expect(isTopicGlob('**a**a**a**')).toBe(false);
    const started = performance.now();
    topicMatcher('**a**a**b')('a'.repeat(256));
    expect(performance.now() - started).toBeLessThan(1000);
  });
});
