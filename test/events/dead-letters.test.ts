import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { DeadLetter } from '#aiwgd/protocol/event.js';
import { settle } from './fake-clock.js';
import { type Bench, makeRouter, newEvent } from './setup.js';

function broken(): void {
  throw new Error('broken');
}

/** A router with one dead letter of the subscriber `rule:x`, whose handler then does what `mend` says. */
async function withDeadLetter() {
  const bench = makeRouter();
  let behaviour: () => void | Promise<void> = broken;
  const calls: unknown[] = [];
  const subscription = bench.router.subscribe('rule:x', ['a'], (event) => {
    calls.push(event.payload['n']);
    return behaviour();
  });
  bench.router.publish(newEvent('a', { n: 1 }));
  await bench.clock.advance(3000);
  const [letter] = bench.router.deadLetters.list();
  calls.length = 0;
  return {
    ...bench,
    letter: letter as DeadLetter,
    calls,
    subscription,
    mend: (next: () => void | Promise<void>) => (behaviour = next),
  };
}

async function restart({ router, clock, directory }: Bench): Promise<Bench> {
  const closing = router.close({ graceMs: 0 });
  await clock.advance(0);
  await closing;
  return makeRouter({ directory, clock });
}

describe('retry', () => {
  it('delivers once more and forgets the letter when it is handled', async () => {
    const { router, letter, calls, mend } = await withDeadLetter();
    mend(() => undefined);
    expect(await router.deadLetters.retry(letter.id)).toBe(true);
    expect(calls).toEqual([1]);
    expect(router.deadLetters.list()).toEqual([]);
    await expect(router.deadLetters.retry(letter.id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('keeps the letter with one more attempt and the new error when it fails again', async () => {
    const { router, letter, calls, mend } = await withDeadLetter();
    mend(() => Promise.reject(new Error('still broken')));
    expect(await router.deadLetters.retry(letter.id)).toBe(false);
    expect(calls).toEqual([1]);
    expect(router.deadLetters.list()).toEqual([
      { ...letter, attempts: 5, error: 'still broken', at: expect.any(String) },
    ]);
  });

  it('works over a restart, once the subscriber is there again', async () => {
    const bench = await withDeadLetter();
    const { router } = await restart(bench);
    expect(router.deadLetters.list()).toEqual([bench.letter]);
    await expect(router.deadLetters.retry(bench.letter.id)).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('rule:x'),
    });
    expect(router.deadLetters.list()).toEqual([bench.letter]);
    const got: unknown[] = [];
    router.subscribe('rule:x', ['a'], (event) => void got.push(event));
    expect(await router.deadLetters.retry(bench.letter.id)).toBe(true);
    expect(got).toEqual([bench.letter.event]);
  });

  it('waits for the event in the hands of the subscriber, goes before those that wait, and is done once', async () => {
    const { router, letter, calls, mend } = await withDeadLetter();
    const open: (() => void)[] = [];
    mend(() => new Promise<void>((resolve) => void open.push(resolve)));
    router.publish(newEvent('a', { n: 2 }));
    router.publish(newEvent('a', { n: 3 }));
    await settle();
    const retried = router.deadLetters.retry(letter.id);
    await expect(router.deadLetters.retry(letter.id)).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(calls).toEqual([2]);
    for (let n = 0; n < 3; n += 1) {
      open.shift()?.();
      await settle();
    }
    expect(await retried).toBe(true);
    expect(calls).toEqual([2, 1, 3]);
  });

  it('ends with CONFLICT when the subscriber goes away meanwhile', async () => {
    const { router, letter, mend, subscription } = await withDeadLetter();
    mend(() => new Promise(() => undefined));
    router.publish(newEvent('a', { n: 2 }));
    await settle();
    const retried = router.deadLetters.retry(letter.id);
    subscription.close();
    await expect(retried).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(router.deadLetters.list()).toEqual([letter]);
  });

  it('is refused where the payload was too large to be kept', async () => {
    const bench = makeRouter();
    const event = bench.router.publish(newEvent('a', { text: 'x'.repeat(300_000) }));
    const { id } = bench.router.deadLetters.add({ event, subscriber: 's', error: 'no', attempts: 4 });
    for (const { router } of [bench, await restart(bench)]) {
      router.subscribe('s', ['a'], () => undefined);
      expect(router.deadLetters.list()[0]?.event.payload).toEqual({
        truncated: true,
        bytes: expect.any(Number),
      });
      await expect(router.deadLetters.retry(id)).rejects.toMatchObject({ code: 'CONFLICT' });
    }
  });
});

describe('drop', () => {
  it('forgets the letter, also over a restart; an unknown id is NOT_FOUND', async () => {
    const bench = await withDeadLetter();
    bench.router.deadLetters.drop(bench.letter.id);
    const missing = expect.objectContaining({ code: 'NOT_FOUND' });
    expect(() => bench.router.deadLetters.drop(bench.letter.id)).toThrow(missing);
    expect((await restart(bench)).router.deadLetters.list()).toEqual([]);
  });
});

describe('the file', () => {
  it('is whole a second after a change, without a stop', async () => {
    const { clock, directory, letter } = await withDeadLetter();
    await clock.advance(1000);
    const { letters } = JSON.parse(readFileSync(join(directory, 'dead-letters.json'), 'utf8')) as {
      letters: DeadLetter[];
    };
    expect(letters).toEqual([{ ...letter, whole: true }]);
  });

  it.each(['', '{', 'null', '{"letters":{}}', '{"letters":[{"id":"x"}]}', '{"letters":[null]}'])(
    'that is damaged (%j) is kept aside and reported',
    async (text) => {
      const { directory, router: first } = makeRouter();
      await first.close({ graceMs: 0 });
      writeFileSync(join(directory, 'dead-letters.json'), text);
      const { router, log } = makeRouter({ directory });
      expect(router.deadLetters.list()).toEqual([]);
      const aside = 'dead-letters.json.damaged-2026-01-02T030405.000Z';
      expect(readdirSync(directory)).toEqual([aside]);
      expect(readFileSync(join(directory, aside), 'utf8')).toBe(text);
      expect(log.lines).toEqual([
        expect.objectContaining({
          level: 'error',
          fields: expect.objectContaining({ file: join(directory, aside) }),
        }),
      ]);
    },
  );

  it('holds at most 10,000 letters, and the log says how many went', async () => {
    const bench = makeRouter();
    const { router, clock, log } = bench;
    const event = router.publish(newEvent('a'));
    for (let n = 0; n < 10_005; n += 1) {
      router.deadLetters.add({ event, subscriber: 's', error: `no ${n}`, attempts: 4 });
    }
    await clock.advance(1000);
    const { router: restarted } = await restart(bench);
    expect(restarted.deadLetters.list()).toHaveLength(10_000);
    expect(restarted.deadLetters.list()[0]?.error).toBe('no 5');
    expect(log.lines.filter(({ message }) => /oldest were dropped/.test(message))).toEqual([
      expect.objectContaining({ fields: { count: 5 } }),
    ]);
  });
});
