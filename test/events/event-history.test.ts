import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { EventRouter } from '#aiwgd/events/event-router.js';
import { LogRecorder, makeRouter, newEvent, temporaryFolder } from './setup.js';

const WRITER = fileURLToPath(new URL('./history-writer.mjs', import.meta.url));

function numbers(router: EventRouter): unknown[] {
  return router.history.query().map(({ payload }) => payload['n']);
}

function publishMany(router: EventRouter, from: number, to: number): void {
  for (let n = from; n <= to; n += 1) router.publish(newEvent('a', { n }));
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

function linesIn(file: string): number {
  return readFileSync(file, 'utf8').split('\n').length - 1;
}

describe('query', () => {
  it('answers oldest first, the newest `limit` of what matches, before an event', () => {
    const { router } = makeRouter();
    const events = ['a.x', 'b', 'a.y', 'a.x', 'b'].map((type) => router.publish(newEvent(type)));
    const at = (...indexes: number[]) => indexes.map((index) => events[index]);
    const { history } = router;
    expect(history.query()).toEqual(events);
    expect(history.query({ topic: 'a.*' })).toEqual(at(0, 2, 3));
    expect(history.query({ topic: 'a.*', limit: 2 })).toEqual(at(2, 3));
    expect(history.query({ before: events[3]!.id })).toEqual(at(0, 1, 2));
    expect(history.query({ before: events[3]!.id, topic: 'a.*', limit: 1 })).toEqual(at(2));
    const live = router.publish(newEvent('task:output'));
    router.publish(newEvent('b'));
    expect(history.query({ before: live.id })).toEqual(events);
  });

  it('knows the last 1000 events, and none of a live topic', () => {
    const { router } = makeRouter();
    publishMany(router, 1, 1500);
    router.publish(newEvent('task:output', { n: 'live' }));
    expect(numbers(router)).toEqual(range(501, 1500));
  });
});

describe('on disk', () => {
  it('one write for all, at most a second after the first event', async () => {
    const { router, clock, directory } = makeRouter();
    const file = join(directory, 'history.jsonl');
    publishMany(router, 1, 3);
    await clock.advance(500);
    publishMany(router, 4, 4);
    expect(() => statSync(file)).toThrow(/ENOENT/);
    expect(clock.pending).toBe(1);
    await clock.advance(500);
    expect(linesIn(file)).toBe(4);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(clock.pending).toBe(0);
  });

  it('survives a restart', async () => {
    const first = makeRouter();
    publishMany(first.router, 1, 1200);
    await first.router.close({ graceMs: 0 });
    const { router } = makeRouter({ directory: first.directory });
    expect(numbers(router)).toEqual(range(201, 1200));
    publishMany(router, 1201, 1201);
    expect(numbers(router)).toEqual(range(202, 1201));
  });

  it('survives a kill -9 but for its last second', async () => {
    const directory = temporaryFolder();
    const child = spawn(process.execPath, [WRITER, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    let out = '';
    child.stdout.setEncoding('utf8');
    for await (const chunk of child.stdout) {
      out += chunk;
      if (out.includes('second batch')) break;
    }
    child.kill('SIGKILL');
    await ended;
    const kept = numbers(makeRouter({ directory }).router);
    expect(kept.slice(0, 100)).toEqual(range(1, 100));
  });

  it('passes over torn and damaged lines, counts them, and goes on with a new line', async () => {
    const first = makeRouter();
    publishMany(first.router, 1, 3);
    await first.router.close({ graceMs: 0 });
    const file = join(first.directory, 'history.jsonl');
    const lines = readFileSync(file, 'utf8').split('\n');
    lines[1] = '\u0000\u0000 not json';
    writeFileSync(file, lines.join('\n'));
    appendFileSync(file, '{"id":5}\nnull\n{"id":"e1","type":"to');
    const second = makeRouter({ directory: first.directory });
    expect(numbers(second.router)).toEqual([1, 3]);
    expect(second.log.lines).toEqual([
      expect.objectContaining({ level: 'warn', fields: { damaged: 4, file } }),
    ]);
    publishMany(second.router, 4, 5);
    await second.router.close({ graceMs: 0 });
    expect(numbers(makeRouter({ directory: first.directory }).router)).toEqual([1, 3, 4, 5]);
  });

  it('never grows past two files of 1000 lines, and always holds the last 1000 events', async () => {
    let { router, clock, directory } = makeRouter();
    let n = 0;
    for (const batch of [1, 999, 1, 400, 700, 1000, 1500, 10, 3, 989, 1]) {
      publishMany(router, n + 1, n + batch);
      n += batch;
      await clock.advance(1000);
      for (const name of ['history.jsonl', 'history.jsonl.1']) {
        if (n > 1000 || name === 'history.jsonl')
          expect(linesIn(join(directory, name))).toBeLessThanOrEqual(1000);
      }
      ({ router, clock } = makeRouter({ directory }));
      expect(numbers(router)).toEqual(range(Math.max(1, n - 999), n));
    }
  });

  it('records an event over 256 KiB without its payload, and bounds the bytes of all', async () => {
    const { router, clock, directory } = makeRouter();
    router.publish(newEvent('big', { text: 'x'.repeat(1_000_000) }));
    expect(router.history.query()[0]?.payload).toEqual({ truncated: true, bytes: expect.any(Number) });
    for (let n = 0; n < 300; n += 1) {
      router.publish(newEvent('a', { n, text: 'ü'.repeat(100_000) }));
      if (n % 50 === 0) await clock.advance(1000);
    }
    await clock.advance(1000);
    // 16 MiB of about 100,000 characters each.
    expect(router.history.query().length).toBeLessThan(200);
    for (const name of ['history.jsonl', 'history.jsonl.1']) {
      expect(statSync(join(directory, name)).size).toBeLessThanOrEqual(16 * 1024 * 1024);
    }
    expect(numbers(makeRouter({ directory }).router).at(-1)).toBe(299);
  });

  it('takes a payload that is not JSON', async () => {
    const { router, clock, directory } = makeRouter();
    const cycle: Record<string, unknown> = { big: 1n };
    cycle['self'] = cycle;
    router.publish(newEvent('odd', cycle));
    publishMany(router, 1, 1);
    await clock.advance(1000);
    const [odd, good] = makeRouter({ directory }).router.history.query();
    expect(odd?.payload).toEqual({ unwritable: expect.any(String) });
    expect(good?.payload).toEqual({ n: 1 });
  });
});

/** A file system with room for next to nothing; undefined where this user may not mount. */
function tinyDisk(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'aiwgd-tiny-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder], { stdio: 'ignore' });
  } catch {
    // Not root, or a container that may not mount: the test says why it is skipped.
    rmSync(folder, { recursive: true });
    return undefined;
  }
  onTestFinished(() => {
    execFileSync('umount', [folder]);
    rmSync(folder, { recursive: true });
  });
  return folder;
}

describe('a full disk', () => {
  it('keeps everything in memory, says so once, and writes when there is room', async ({ skip }) => {
    const disk = tinyDisk();
    if (disk === undefined) {
      skip('a small disk cannot be mounted here (needs root on Linux)');
      return;
    }
    const faults: string[] = [];
    const { router, clock, log } = makeRouter({
      directory: join(disk, 'events'),
      onFault: (part, error) =>
        faults.push(`${part}: ${(error?.cause as NodeJS.ErrnoException)?.code ?? 'well'}`),
    });
    publishMany(router, 1, 10);
    await clock.advance(1000);
    const ballast = join(disk, 'ballast');
    expect(() => writeFileSync(ballast, Buffer.alloc(1_000_000))).toThrow(/ENOSPC/);
    publishMany(router, 11, 60);
    router.deadLetters.add({
      event: router.publish(newEvent('a', { n: 61 })),
      subscriber: 's',
      error: 'no',
      attempts: 4,
    });
    await clock.advance(60_000);
    expect(faults.toSorted()).toEqual(['dead-letters: ENOSPC', 'history: ENOSPC']);
    expect(numbers(router)).toEqual(range(1, 61));
    rmSync(ballast);
    await clock.advance(5000);
    expect(faults.slice(2).toSorted()).toEqual(['dead-letters: well', 'history: well']);
    expect(log.lines.filter(({ level }) => level === 'error')).toHaveLength(2);
    const restarted = makeRouter({ directory: join(disk, 'events') });
    expect(numbers(restarted.router)).toEqual(range(1, 61));
    expect(restarted.router.deadLetters.list()).toHaveLength(1);
    expect(restarted.log).toEqual(new LogRecorder());
  });
});
