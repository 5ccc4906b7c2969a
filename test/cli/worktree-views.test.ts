import { expect, test } from 'vitest';
import { painter } from '#aiwgd/cli/output/color.js';
import {
  diffForTerminal,
  mergeLines,
  pruneLines,
  statLines,
  worktreeTable,
} from '#aiwgd/cli/views/worktree-views.js';
import type { TaskDiff, Worktree } from '#aiwgd/protocol/worktrees.js';

const PLAIN = painter(false);
const DIFF: TaskDiff = {
  taskId: 'task-0001',
  branch: 'aiwg/task-0001',
  base: 'a'.repeat(40),
  files: [
    { path: 'a\u001b[2Jb.txt', status: 'modified', added: 2, removed: 1 },
    { path: 'c.bin', status: 'added', added: null, removed: null },
  ],
  diff: '',
  truncated: false,
  notes: '',
};

test('a diff on a terminal has colours, and no control character of a file reaches it', () => {
  const diff =
    'diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1,2 @@\n-old\n+new\u001b[2J\n \u202eright to left\n';
  expect(diffForTerminal(diff, PLAIN)).toBe(
    'diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1,2 @@\n-old\n+new␛[2J\n \\u202eright to left\n',
  );
  expect(diffForTerminal('-old\r\n+new\r\n', painter(true))).toBe(
    '\u001b[31m-old␍\u001b[39m\n\u001b[32m+new␍\u001b[39m\n',
  );
});

test('files of a diff are counted', () => {
  expect(statLines(DIFF, PLAIN)).toEqual([
    'a␛[2Jb.txt  modified, +2 -1',
    'c.bin  added, binary',
    '2 files, +2 -1',
  ]);
  expect(statLines({ ...DIFF, truncated: true }, PLAIN).at(-1)).toBe('2 files or more, +2 -1');
  expect(statLines({ ...DIFF, files: [] }, PLAIN)).toEqual(['No changes']);
});

test('worktrees, merges and prunes read as sentences', () => {
  const worktree: Worktree = {
    taskId: 'task-0001',
    path: '/x',
    branch: 'aiwg/task-0001',
    base: 'a'.repeat(40),
    state: 'merged',
    changedFiles: 0,
    commits: 2,
    inUse: false,
    why: null,
  };
  expect(worktreeTable([worktree], Number.POSITIVE_INFINITY, PLAIN)[1]).toMatch(
    /^task-0001 +merged +2 +0 +aiwg\/task-0001 +can be pruned$/u,
  );
  expect(worktreeTable([], 80, PLAIN)).toEqual(['No worktrees']);
  expect(
    mergeLines({ taskId: 'task-0001', merged: true, commit: 'abcdef0123456789', files: ['x\n'] }),
  ).toEqual(['task-0001 merged as abcdef012345, 1 file:', '  x']);
  expect(pruneLines({ removed: [], kept: [] }, false, PLAIN)).toEqual(['No worktrees']);
});
