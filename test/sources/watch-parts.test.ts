import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesOfPath, isText, pathOfBytes, readablePath } from '#aiwgd/sources/watch/byte-path.js';
import { changeBetween, type FileEntry } from '#aiwgd/sources/watch/file-entry.js';
import { PendingChanges } from '#aiwgd/sources/watch/pending-changes.js';

describe('names as bytes', () => {
  it('come back as they were, each name its own string', () => {
    const bytes = fc.uint8Array({ maxLength: 20 });
    fc.assert(
      fc.property(bytes, bytes, (a, b) => {
        expect([...bytesOfPath(pathOfBytes(a))]).toEqual([...a]);
        expect(pathOfBytes(a) === pathOfBytes(b)).toBe(Buffer.from(a).equals(b));
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(pathOfBytes(Buffer.from(text))).toBe(text);
        expect(isText(text)).toBe(true);
        expect(readablePath(text)).toBe(text);
      }),
    );
  });
});

describe('two looks at a file', () => {
  const entry = fc.option(
    fc.record({ inode: fc.nat(2), birth: fc.nat(2), modified: fc.nat(2), size: fc.nat(2) }),
    { nil: undefined },
  );

  it('differ by what a person would call it, and add up', () => {
    fc.assert(
      fc.property(entry, entry, (a: FileEntry | undefined, b: FileEntry | undefined) => {
        const change = changeBetween(a, b);
        expect(change === undefined).toBe(JSON.stringify(a) === JSON.stringify(b));
        expect(change === 'create').toBe(a === undefined && b !== undefined);
        expect(change === 'delete').toBe(a !== undefined && b === undefined);
      }),
    );
  });
});

/** What is done to the queue, at which pauses. */
const step = fc.record({
  pause: fc.nat(700),
  path: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
  what: fc.constantFrom('touch', 'touch', 'touch', 'forget', 'take'),
});

describe('changes that wait', () => {
  it('come out when they were quiet for the debounce or waited for too long, each once, in their order', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.constantFrom(1, 500, 1_500), (steps, debounce) => {
        const pending = new PendingChanges(debounce);
        const longest = Math.max(debounce * 10, 10_000);
        const model = new Map<string, { heard: number; last: number }>();
        const dueOf = ({ heard, last }: { heard: number; last: number }): number =>
          Math.min(last + debounce, heard + Math.max(longest, debounce));
        let now = 0;
        for (const { pause, path, what } of steps) {
          now += pause;
          if (what === 'touch') {
            pending.touch(path, now, now, now);
            model.set(path, { heard: model.get(path)?.heard ?? now, last: now });
          } else if (what === 'forget') {
            pending.forget(path);
            model.delete(path);
          } else {
            const due = [...model].filter(([, change]) => dueOf(change) <= now);
            const taken = pending.take(now, 100);
            expect(taken.map((change) => change.path).toSorted()).toEqual(
              due.map(([name]) => name).toSorted(),
            );
            expect(taken.map((change) => change.due)).toEqual(
              taken.map((change) => change.due).toSorted((a, b) => a - b),
            );
            for (const { path: name, first, last } of taken) {
              expect({ heard: first, last }).toEqual(model.get(name));
              model.delete(name);
            }
          }
          expect(pending.size).toBe(model.size);
          const next = [...model.values()].map(dueOf);
          expect(pending.nextDue()).toBe(next.length === 0 ? undefined : Math.min(...next));
        }
      }),
    );
  });

  it('that could not be reported come again, with what happened since', () => {
    const pending = new PendingChanges(10);
    pending.touch('a', 1, 2, 0);
    pending.touch('b', 1, 1, 0);
    const taken = pending.take(100, 1);
    expect(taken.map(({ path }) => path)).toEqual(['a']);
    pending.touch('a', 50, 50, 100);
    pending.giveBack(taken, 500);
    expect(pending.take(499, 9).map(({ path, first, last }) => ({ path, first, last }))).toEqual([
      { path: 'b', first: 1, last: 1 },
      { path: 'a', first: 1, last: 50 },
    ]);
    pending.giveBack(taken, 500);
    expect(pending.nextDue()).toBe(500);
  });
});
