import { expect, it } from 'vitest';
import { FakeClock } from '#aiwgd/testing/index.js';

it('fires timers in the order in which they are due, new ones included', () => {
  const clock = new FakeClock(1000);
  const fired: [string, number][] = [];
  const note = (name: string) => () => void fired.push([name, clock.now()]);
  clock.setTimer(30, note('c'));
  clock.setTimer(10, () => {
    note('a')();
    clock.setTimer(10, note('b'));
  });
  clock.setTimer(30, note('d'));
  clock.setTimer(5, note('cancelled')).cancel();
  clock.setTimer(31, note('later'));
  clock.advance(30);
  expect(fired).toEqual([
    ['a', 1010],
    ['b', 1020],
    ['c', 1030],
    ['d', 1030],
  ]);
  expect(clock.pending).toBe(1);
});

it('lets wall time jump without a timer noticing', () => {
  const clock = new FakeClock(1000);
  let fired = false;
  clock.setTimer(100, () => {
    fired = true;
  });
  clock.setWall(5_000_000);
  expect([clock.now(), clock.monotonic(), fired]).toEqual([5_000_000, 0, false]);
  clock.advance(100);
  expect([clock.now(), clock.monotonic(), fired]).toEqual([5_000_100, 100, true]);
});
