import { expect, it, vi } from 'vitest';
import { systemClock } from '#aiwgd/platform/clock.js';
import { SlicedWork } from '#aiwgd/sources/watch/sliced-work.js';

it('goes on with the next piece when one throws, and lets the error out', async () => {
  const done: string[] = [];
  const pieces = [
    function* broken(): Generator<void> {
      yield;
      throw new Error('broken');
    },
    function* sound(): Generator<void> {
      yield;
      done.push('sound');
    },
  ];
  const uncaught: unknown[] = [];
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => uncaught.push(error));
  try {
    const onIdle = vi.fn();
    const work = new SlicedWork(systemClock, () => pieces.shift()?.(), onIdle);
    work.wake();
    await work.idle();
    expect(done).toEqual(['sound']);
    expect(uncaught).toEqual([new Error('broken')]);
    expect(onIdle).toHaveBeenCalledOnce();
    expect(work.busy).toBe(false);
  } finally {
    process.removeAllListeners('uncaughtException');
    for (const listener of others) process.on('uncaughtException', listener);
  }
});
