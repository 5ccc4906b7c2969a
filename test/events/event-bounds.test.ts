import { describe, expect, it } from 'vitest';
import { EventRouter } from '#aiwgd/events/event-router.js';
import { systemClock } from '#aiwgd/platform/clock.js';
import type { AiwgEvent } from '#aiwgd/protocol/event.js';
import { settle } from './fake-clock.js';
import { LogRecorder, makeRouter, newEvent, temporaryFolder } from './setup.js';

/** A promise that the test settles. */
function makeGate(): { gate: Promise<void>; open: () => void } {
  const opened = new AbortController();
  const gate = new Promise<void>((resolve) => opened.signal.addEventListener('abort', () => resolve()));
  return { gate, open: () => opened.abort() };
}

describe('overflow', () => {
  it('lets the oldest go and says once how many', async () => {
    const { router, clock, log } = makeRouter({ maxWaiting: 10 });
    const got: unknown[] = [];
    const { gate, open } = makeGate();
    router.subscribe('slow', ['a'], async (event) => {
      await gate;
      got.push(event.payload['n']);
    });
    const notices: AiwgEvent[] = [];
    router.subscribe('watcher', ['router.overflow'], (event) => void notices.push(event));
    for (let n = 0; n < 25; n += 1) router.publish(newEvent('a', { n }));
    expect(router.status().subscribers[0]).toMatchObject({ waiting: 10, dropped: 15 });
    await clock.advance(900);
    expect(notices).toEqual([]);
    open();
    await clock.advance(10_000);
    expect(got).toEqual(Array.from({ length: 10 }, (_, index) => 15 + index));
    expect(notices.map(({ payload }) => payload)).toEqual([{ subscriber: 'slow', dropped: 15 }]);
    expect(log.lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
  });

  it('of a subscriber of everything that is stuck brings about no further overflow', async () => {
    const { router, clock } = makeRouter({ maxWaiting: 10 });
    for (const name of ['one', 'two']) router.subscribe(name, ['*'], () => new Promise(() => undefined));
    for (let n = 0; n < 40; n += 1) {
      router.publish(newEvent('a', { n }));
      if (n === 0) await settle();
    }
    await clock.advance(120_000);
    const notices = router.history.query({ topic: 'router.overflow' }).map(({ payload }) => payload);
    expect(notices).toEqual([
      { subscriber: 'one', dropped: 29 },
      { subscriber: 'two', dropped: 29 },
    ]);
  });

  it('that does not end is told once a minute, and every dropped event in one notice', async () => {
    const { router, clock } = makeRouter({ maxWaiting: 10 });
    router.subscribe('stuck', ['a'], () => new Promise(() => undefined));
    for (let second = 0; second < 130; second += 1) {
      router.publish(newEvent('a'));
      await clock.advance(1000);
    }
    await clock.advance(5000);
    const notices = router.history
      .query({ topic: 'router.overflow' })
      .map(({ payload }) => payload['dropped']);
    expect(notices).toHaveLength(2);
    expect(notices.reduce((sum: number, dropped) => sum + Number(dropped), 0)).toBe(130 - 1 - 10);
  });

  it('bounds large events by their size, without harm to small ones', async () => {
    const { router, clock } = makeRouter();
    const got: unknown[] = [];
    const { gate, open } = makeGate();
    router.subscribe('slow', ['a'], async (event) => {
      await gate;
      got.push(event.payload['n']);
    });
    router.publish(newEvent('a', { n: 'small' }));
    await settle();
    const text = 'x'.repeat(1_000_000);
    for (let n = 0; n < 100; n += 1) router.publish(newEvent('a', { n, text }));
    router.publish(newEvent('a', { n: 'small too' }));
    open();
    await clock.advance(2000);
    expect(got).toEqual(['small', ...Array.from({ length: 67 }, (_, n) => n), 'small too']);
    expect(router.history.query({ topic: 'router.overflow' })[0]?.payload).toEqual({
      subscriber: 'slow',
      dropped: 33,
    });
    for (let n = 0; n < 60; n += 1) router.publish(newEvent('a', { n, text }));
    await clock.advance(2000);
    expect(got).toHaveLength(1 + 67 + 1 + 60);
  });
});

describe('a storm', () => {
  it('of 200,000 events stays bounded and is delivered in order', async () => {
    const router = new EventRouter({
      directory: temporaryFolder(),
      clock: systemClock,
      log: new LogRecorder(),
    });
    let last = '';
    let count = 0;
    let inOrder = true;
    const done = new Promise<void>((resolve) => {
      router.subscribe('fast', ['file.*'], (event) => {
        inOrder &&= event.id > last;
        last = event.id;
        count += 1;
        if (event.payload['n'] === 199_999) resolve();
      });
    });
    router.subscribe('stuck', ['*'], () => new Promise(() => undefined));
    const before = process.memoryUsage().heapUsed;
    const started = performance.now();
    for (let n = 0; n < 200_000; n += 1) {
      router.publish(newEvent('file.modify', { n }));
      // As a watcher does: in bursts with a turn of the event loop between them.
      if (n % 5000 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await done;
    const seconds = (performance.now() - started) / 1000;
    expect(count).toBe(200_000);
    expect(inOrder).toBe(true);
    // Two subscribers, 400,000 deliveries or drops: generous against a busy machine, yet linear cost is proven.
    expect(seconds).toBeLessThan(10);
    expect(router.status().subscribers[1]).toMatchObject({ waiting: 100_000, dropped: 99_999 });
    expect((process.memoryUsage().heapUsed - before) / 1e6).toBeLessThan(150);
    expect(await router.close({ graceMs: 0 })).toEqual({ left: [{ subscriber: 'stuck', events: 100_001 }] });
  });

  it('leaves other work its turn', async () => {
    const { router } = makeRouter();
    let count = 0;
    router.subscribe('loop', ['a'], () => {
      count += 1;
      router.publish(newEvent('a'));
    });
    router.subscribe('async loop', ['b'], async () => {
      await Promise.resolve();
      router.publish(newEvent('b'));
    });
    router.publish(newEvent('a'));
    router.publish(newEvent('b'));
    // The timer could not fire if the loops of handlers never let go.
    await new Promise((resolve) => setTimeout(resolve, 1));
    expect(count).toBeGreaterThan(100);
  });
});

describe('close', () => {
  it('lets the queues drain, takes nothing more, and is the same for all callers', async () => {
    const { router, clock } = makeRouter();
    const got: unknown[] = [];
    router.subscribe('s', ['a'], async (event) => {
      await new Promise<void>((resolve) => clock.setTimer(1000, resolve));
      got.push(event.payload['n']);
    });
    for (const n of [1, 2, 3]) router.publish(newEvent('a', { n }));
    const closing = router.close({ graceMs: 10_000 });
    expect(router.close({ graceMs: 0 })).toBe(closing);
    expect(router.publish(newEvent('a', { n: 4 })).id).toBeTypeOf('string');
    await clock.advance(3000);
    expect(await closing).toEqual({ left: [] });
    expect(got).toEqual([1, 2, 3]);
    expect(clock.pending).toBe(0);
  });

  it('says what was left when the time was up', async () => {
    const { router, clock, log } = makeRouter();
    router.subscribe('stuck', ['a'], () => new Promise(() => undefined));
    router.subscribe('good', ['a'], () => undefined);
    for (const n of [1, 2, 3]) router.publish(newEvent('a', { n }));
    const closing = router.close({ graceMs: 500 });
    await clock.advance(500);
    expect(await closing).toEqual({ left: [{ subscriber: 'stuck', events: 3 }] });
    expect(log.lines.some(({ level, message }) => level === 'warn' && /not handled all/.test(message))).toBe(
      true,
    );
    expect(clock.pending).toBe(0);
  });
});
