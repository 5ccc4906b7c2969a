import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventRouter } from '#aiwgd/events/event-router.js';
import { FakeClock, settle } from './fake-clock.js';
import { LogRecorder, makeRouter, newEvent, temporaryFolder } from './setup.js';

describe('publish', () => {
  it('stamps id and time, and keeps source, payload and cause', () => {
    const { router } = makeRouter();
    const event = router.publish({ ...newEvent('build.failed', { n: 1 }), cause: 'task-0001' });
    expect(event).toEqual({
      id: expect.stringMatching(/^e[0-9a-z]{17}$/),
      type: 'build.failed',
      source: 'test',
      timestamp: '2026-01-02T03:04:05.000Z',
      payload: { n: 1 },
      cause: 'task-0001',
    });
    expect(router.publish(newEvent('a'))).not.toHaveProperty('cause');
  });

  it('makes ids that are unique and sort by time of making, also when the clock jumps back', async () => {
    const { router, clock } = makeRouter();
    const ids: string[] = [];
    for (const jump of [0, 5, -3_600_000, 0, 1, -1, 7_200_000]) {
      clock.jump(jump);
      for (let n = 0; n < 10; n += 1) ids.push(router.publish(newEvent('a')).id);
    }
    expect(ids.toSorted()).toEqual(ids);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('keeps ids in order over a restart at an earlier time', async () => {
    const { router, clock, directory } = makeRouter();
    const before = router.publish(newEvent('a'));
    await router.close({ graceMs: 0 });
    clock.jump(-86_400_000);
    const next = makeRouter({ directory, clock }).router;
    expect(next.publish(newEvent('a')).id > before.id).toBe(true);
  });

  it.each(['', 'a b', 'a..b', 'task:*', 'x'.repeat(300)])('refuses the topic %j', (type) => {
    const { router } = makeRouter();
    expect(() => router.publish(newEvent(type))).toThrow(expect.objectContaining({ code: 'INVALID_PARAMS' }));
  });

  it('returns before any handler has run', async () => {
    const { router } = makeRouter();
    const got: string[] = [];
    router.subscribe('s', ['*'], (event) => void got.push(event.id));
    const { id } = router.publish(newEvent('a'));
    expect(got).toEqual([]);
    await settle();
    expect(got).toEqual([id]);
  });
});

describe('subscribe', () => {
  it('delivers what matches any of the globs, once', async () => {
    const { router } = makeRouter();
    const got: string[] = [];
    router.subscribe(
      's',
      ['task:*', 'task:failed', 'file.**', 'exact.topic'],
      (event) => void got.push(event.type),
    );
    const types = ['task:failed', 'task.failed', 'file.modify', 'file.a.b', 'exact.topic', 'exact.topic.not'];
    for (const type of types) router.publish(newEvent(type));
    await settle();
    expect(got).toEqual(['task:failed', 'file.modify', 'file.a.b', 'exact.topic']);
  });

  it('refuses a bad glob and a name that is taken', () => {
    const { router } = makeRouter();
    expect(() => router.subscribe('s', ['a b'], () => undefined)).toThrow(/"a b"/);
    const first = router.subscribe('s', ['a'], () => undefined);
    expect(() => router.subscribe('s', ['a'], () => undefined)).toThrow(
      expect.objectContaining({ code: 'CONFLICT' }),
    );
    first.close();
    router.subscribe('s', ['a'], () => undefined);
    first.close();
    expect(router.status().subscribers).toHaveLength(1);
  });

  it('ends at close: what waits is not delivered, and a new subscriber gets only what comes then', async () => {
    const { router } = makeRouter();
    const got: unknown[] = [];
    const subscription = router.subscribe('s', ['a'], (event) => void got.push(event.payload));
    router.publish(newEvent('a', { n: 1 }));
    subscription.close();
    router.publish(newEvent('a', { n: 2 }));
    router.subscribe('t', ['a'], (event) => void got.push(event.payload));
    router.publish(newEvent('a', { n: 3 }));
    await settle();
    expect(got).toEqual([{ n: 3 }]);
  });

  it('keeps order and independence whatever the handlers do', async () => {
    type Behaviour = 'sync' | 'async' | 'throws' | 'rejects';
    const behaviour = fc.constantFrom<Behaviour>('sync', 'async', 'throws', 'rejects');
    const subscriber = fc.record({
      glob: fc.constantFrom('*', 'a', 'b', 'a.*', 'b'),
      // What each call of the handler does, over and over.
      calls: fc.array(behaviour, { minLength: 1, maxLength: 7 }),
    });
    const topics = fc.array(fc.constantFrom('a', 'b', 'a.x'), { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(subscriber, { minLength: 1, maxLength: 4 }),
        topics,
        async (subscribers, types) => {
          const clock = new FakeClock();
          const router = new EventRouter({ directory: temporaryFolder(), clock, log: new LogRecorder() });
          const handled = subscribers.map((): string[] => []);
          const tried = subscribers.map((): string[] => []);
          for (const [index, { glob, calls }] of subscribers.entries()) {
            let call = 0;
            router.subscribe(`s${index}`, [glob], (event) => {
              tried[index]?.push(event.id);
              const act = calls[call++ % calls.length];
              if (act === 'throws') throw new Error('no');
              if (act === 'rejects') return Promise.reject(new Error('no'));
              handled[index]?.push(event.id);
              return act === 'async' ? Promise.resolve() : undefined;
            });
          }
          const events = types.map((type) => router.publish(newEvent(type)));
          await clock.advance(types.length * 3000);
          const dead = router.deadLetters.list();
          for (const [index, { glob }] of subscribers.entries()) {
            const wanted = events.filter(({ type }) => matches(glob, type)).map(({ id }) => id);
            const mine = dead.filter((letter) => letter.subscriber === `s${index}`);
            // Each event is handled once or is a dead letter after four deliveries, and none overtakes another.
            expect(tried[index]).toEqual(tried[index]?.toSorted());
            expect([...handled[index]!, ...mine.map(({ event }) => event.id)].toSorted()).toEqual(wanted);
            for (const letter of mine) {
              expect(tried[index]?.filter((id) => id === letter.event.id)).toHaveLength(4);
            }
          }
          const closing = router.close({ graceMs: 0 });
          await clock.advance(0);
          expect(await closing).toEqual({ left: [] });
        },
      ),
      { numRuns: 40 },
    );
  });
});

function matches(glob: string, type: string): boolean {
  if (glob === '*') return true;
  return glob === 'a.*' ? type === 'a.x' : type === glob;
}

describe('a handler that fails', () => {
  it('is tried after 100, 400 and 1600 ms, and then the event is a dead letter and the queue goes on', async () => {
    const { router, clock } = makeRouter();
    const calls: [number, unknown][] = [];
    router.subscribe('bad', ['a'], (event) => {
      calls.push([clock.monotonic(), event.payload['n']]);
      if (event.payload['n'] === 1) throw new Error(`no ${calls.length}`);
    });
    router.publish(newEvent('a', { n: 1 }));
    router.publish(newEvent('a', { n: 2 }));
    await clock.advance(99);
    expect(calls).toEqual([[0, 1]]);
    expect(router.status().subscribers[0]).toMatchObject({
      waiting: 1,
      inFlightSince: '2026-01-02T03:04:05.000Z',
    });
    await clock.advance(3000);
    expect(calls).toEqual([
      [0, 1],
      [100, 1],
      [500, 1],
      [2100, 1],
      [2100, 2],
    ]);
    expect(router.deadLetters.list()).toEqual([
      {
        id: expect.any(String),
        event: expect.objectContaining({ type: 'a', payload: { n: 1 } }),
        subscriber: 'bad',
        error: 'no 4',
        attempts: 4,
        at: '2026-01-02T03:04:07.100Z',
      },
    ]);
    expect(router.status().subscribers[0]).toMatchObject({
      waiting: 0,
      inFlightSince: null,
      delivered: 1,
      failed: 1,
    });
  });

  it.each([
    [0, [80, 320, 1280]],
    [0.999999, [120, 480, 1920]],
  ])('spreads the pauses by a fifth (random %d)', async (random, pauses) => {
    const { router, clock } = makeRouter({ random: () => random });
    const times: number[] = [];
    router.subscribe('bad', ['a'], () => {
      times.push(clock.monotonic());
      return Promise.reject(new Error('no'));
    });
    router.publish(newEvent('a'));
    await clock.advance(3000);
    expect(times.slice(1).map((time, index) => Math.round(time - times[index]!))).toEqual(pauses);
  });

  it('delays nobody else, and neither does one that never settles', async () => {
    const { router, clock } = makeRouter();
    const got: unknown[] = [];
    router.subscribe('stuck', ['*'], () => new Promise(() => undefined));
    router.subscribe('bad', ['*'], () => {
      throw new Error('no');
    });
    router.subscribe('good', ['*'], (event) => void got.push(event.payload['n']));
    for (let n = 0; n < 5; n += 1) router.publish(newEvent('a', { n }));
    await settle();
    expect(got).toEqual([0, 1, 2, 3, 4]);
    await clock.advance(60_000);
    const [stuck, bad] = router.status().subscribers;
    expect(stuck).toMatchObject({ waiting: 4, inFlightSince: '2026-01-02T03:04:05.000Z', delivered: 0 });
    expect(bad).toMatchObject({ waiting: 0, failed: 5 });
  });

  it('ends its retries when its subscription is closed', async () => {
    const { router, clock } = makeRouter();
    let calls = 0;
    const subscription = router.subscribe('bad', ['a'], () => {
      calls += 1;
      throw new Error('no');
    });
    router.publish(newEvent('a'));
    await clock.advance(100);
    expect(calls).toBe(2);
    subscription.close();
    await clock.advance(10_000);
    expect(calls).toBe(2);
    expect(router.deadLetters.list()).toEqual([]);
  });
});

describe('tap', () => {
  it('is called within publish, and no more once closed', () => {
    const { router } = makeRouter();
    const got: string[] = [];
    const tap = router.tap(['task:*'], (event) => void got.push(event.type));
    router.publish(newEvent('task:queued'));
    router.publish(newEvent('file.modify'));
    expect(got).toEqual(['task:queued']);
    tap.close();
    router.publish(newEvent('task:queued'));
    expect(got).toEqual(['task:queued']);
  });

  it('that throws harms nobody, is logged once and goes on', () => {
    const { router, log } = makeRouter();
    const got: unknown[] = [];
    router.tap(['*'], ({ payload }) => {
      if (payload['n'] !== 3) throw new Error('no');
      got.push('bad');
    });
    router.tap(['*'], ({ payload }) => void got.push(payload['n']));
    for (const n of [1, 2, 3]) router.publish(newEvent('a', { n }));
    expect(got).toEqual([1, 2, 'bad', 3]);
    expect(log.lines.filter(({ level }) => level === 'error')).toHaveLength(1);
  });

  it('may be closed while an event is on its way round', () => {
    const { router } = makeRouter();
    const got: string[] = [];
    router.tap(['*'], () => second.close());
    const second = router.tap(['*'], () => void got.push('second'));
    router.publish(newEvent('a'));
    expect(got).toEqual([]);
  });
});
