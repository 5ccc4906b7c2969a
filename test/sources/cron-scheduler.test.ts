import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { StateDatabase } from '#aiwgd/database/state-database.js';
import type { Log } from '#aiwgd/platform/log.js';
import { CronScheduler } from '#aiwgd/sources/schedule/cron-scheduler.js';
import type { ScheduleEntry, Slot } from '#aiwgd/sources/schedule/schedule-types.js';
import { FakeClock } from '#aiwgd/testing/fake-clock.js';
import { tempFolder } from '../support/temp.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const NOON = Date.UTC(2026, 4, 5, 12);

const entry = (id: string, cron: string, more: Partial<ScheduleEntry> = {}): ScheduleEntry => ({
  id,
  cron,
  timezone: null,
  catchUp: 'none',
  enabled: true,
  kind: 'job',
  ...more,
});

/** A database that outlives the schedulers of a test, and what they fired and logged. */
function bench(wall = NOON) {
  const clock = new FakeClock(wall);
  const lines: string[] = [];
  const note = (_fields: object, message: string): void => void lines.push(message);
  const log: Log = { debug: note, info: note, warn: note, error: note };
  const db = new StateDatabase({ path: join(tempFolder(), 'automation.db'), clock, log });
  db.exec('CREATE TABLE effects (id TEXT, slot INTEGER)');
  onTestFinished(() => db.close());
  const fired: Slot[] = [];
  const faults: (string | undefined)[] = [];
  const control = { refuse: (_slot: Slot): boolean => false };
  const run = (...entries: ScheduleEntry[]): CronScheduler => {
    const scheduler = new CronScheduler({
      db,
      clock,
      log,
      hostTimezone: 'UTC',
      entries,
      onSlot: (slot) => {
        expect(db.inTransaction).toBe(true);
        db.run('INSERT INTO effects VALUES (?, ?)', slot.entry.id, slot.slot);
        if (control.refuse(slot)) throw new Error('the disk is full');
        fired.push(slot);
      },
      onFault: (_code, error) => faults.push(error?.message),
    });
    onTestFinished(() => scheduler.close());
    scheduler.start();
    return scheduler;
  };
  /** What has fired since it was last asked: `id time`, and a `+` where it was made up for. */
  const taken = (): string[] =>
    fired
      .splice(0)
      .map(
        ({ entry: { id }, slot, caughtUp }) =>
          `${id} ${new Date(slot).toISOString().slice(11, 16)}${caughtUp ? '+' : ''}`,
      );
  return { clock, db, fired, faults, lines, control, run, taken };
}

describe('the scheduler', () => {
  it('fires every slot once, at its time, without drift', () => {
    const { clock, run, fired } = bench(NOON + 12_345);
    run(entry('each', '* * * * *'), entry('tenth', '*/10 * * * *'));
    const late: number[] = [];
    for (let at = 0; at < 3 * HOUR; at += 500) {
      const before = fired.length;
      clock.advance(500);
      for (const { slot } of fired.slice(before)) late.push(clock.now() - slot);
    }
    expect(fired.filter(({ entry: { id } }) => id === 'each').map(({ slot }) => slot)).toEqual(
      Array.from({ length: 180 }, (_, index) => NOON + (index + 1) * MINUTE),
    );
    expect(fired.filter(({ entry: { id } }) => id === 'tenth')).toHaveLength(18);
    expect(fired.some(({ caughtUp }) => caughtUp)).toBe(false);
    expect(Math.max(...late)).toBeLessThanOrEqual(500);
  });

  it('keeps to the time zone of each entry', () => {
    const { clock, run, taken } = bench();
    run(entry('berlin', '30 14 * * *', { timezone: 'Europe/Berlin' }), entry('host', '15 12 * * *'));
    clock.advance(HOUR);
    expect(taken()).toEqual(['host 12:15', 'berlin 12:30']);
  });

  it('never fires a slot twice, restarted within its minute or killed in between', () => {
    const { clock, run, taken } = bench();
    const job = entry('job', '0 * * * *', { catchUp: 'all' });
    const first = run(job);
    clock.advance(HOUR);
    expect(taken()).toEqual(['job 13:00']);
    first.close();
    run(job).close();
    clock.advance(10 * SECOND);
    const third = run(job);
    clock.advance(59 * MINUTE);
    expect(taken()).toEqual([]);
    expect(third.last('job')).toBe(NOON + HOUR);
    expect(third.next('job')).toBe(NOON + 2 * HOUR);
  });

  it('fires a slot that a quick restart spans, whatever the policy', () => {
    const { clock, run, taken } = bench(NOON - 10 * SECOND);
    run(entry('job', '0 12 * * *')).close();
    clock.advance(50 * SECOND);
    run(entry('job', '0 12 * * *'));
    expect(taken()).toEqual(['job 12:00']);
  });

  it.each([
    ['none', ['job 16:00']],
    ['last', ['job 15:00+', 'job 16:00']],
    ['all', ['job 13:00+', 'job 14:00+', 'job 15:00+', 'job 16:00']],
  ] as const)('makes up for what passed while it was down: %s', (catchUp, expected) => {
    const { clock, run, taken } = bench(NOON + MINUTE);
    const job = entry('job', '0 * * * *', { catchUp });
    run(job).close();
    clock.advance(3 * HOUR + 30 * MINUTE);
    const again = run(job);
    clock.advance(0);
    again.close();
    const third = run(job);
    clock.advance(HOUR);
    expect(taken()).toEqual(expected);
    third.close();
  });

  it.each([
    ['none', []],
    ['last', ['job 15:00+']],
    ['all', ['job 13:00+', 'job 14:00+', 'job 15:00+']],
  ] as const)('makes up for what passed while the machine slept: %s', (catchUp, expected) => {
    const { clock, run, taken } = bench(NOON + MINUTE);
    run(entry('job', '0 * * * *', { catchUp }));
    clock.setWall(NOON + 3 * HOUR + 30 * MINUTE);
    clock.advance(MINUTE);
    expect(taken()).toEqual(expected);
  });

  it('does not make up for what passed before a job was first seen', () => {
    const { clock, run, taken } = bench(NOON + 30 * SECOND);
    run(entry('job', '*/5 * * * *', { catchUp: 'all' }));
    clock.advance(2 * MINUTE);
    expect(taken()).toEqual([]);
  });

  it('passes over slots under "none" for good', () => {
    const { clock, run, taken } = bench(NOON + MINUTE);
    run(entry('job', '0 * * * *')).close();
    clock.advance(3 * HOUR);
    run(entry('job', '0 * * * *')).close();
    run(entry('job', '0 * * * *', { catchUp: 'all' }));
    clock.advance(0);
    expect(taken()).toEqual([]);
  });

  it('makes up for a bounded number of slots, the newest, bit by bit and behind those on time', () => {
    const { clock, run, taken, fired, lines } = bench(NOON + MINUTE);
    const minutely = entry('minutely', '* * * * *', { catchUp: 'all' });
    run(minutely).close();
    clock.setWall(NOON + 30 * DAY);
    run(minutely, entry('other', '0 12 * * *'));
    // One turn does not do all of it.
    expect(fired.length).toBeGreaterThan(0);
    expect(fired.length).toBeLessThanOrEqual(50);
    clock.advance(0);
    expect(fired.filter(({ caughtUp }) => caughtUp)).toHaveLength(1_000);
    expect(fired.at(-1)).toMatchObject({ slot: NOON + 30 * DAY, caughtUp: false });
    expect(fired.map(({ slot }) => slot)).toEqual(fired.map(({ slot }) => slot).toSorted((a, b) => a - b));
    expect(lines.join('\n')).toMatch(/minutely missed slots: 1000 made up for, older ones are left out/);
    taken();
    clock.advance(MINUTE);
    expect(taken()).toEqual(['minutely 12:01']);
  });

  it('repeats nothing when the clock goes back an hour, and goes on when it has caught up', () => {
    const { clock, run, taken } = bench(NOON + MINUTE);
    run(entry('job', '*/30 * * * *', { catchUp: 'all' }));
    clock.advance(HOUR);
    expect(taken()).toEqual(['job 12:30', 'job 13:00']);
    clock.setWall(NOON + MINUTE);
    clock.advance(HOUR + 20 * MINUTE);
    expect(taken()).toEqual([]);
    clock.advance(10 * MINUTE);
    expect(taken()).toEqual(['job 13:30']);
  });

  it('takes an hour that the clock leaps over for missed', () => {
    const { clock, run, taken } = bench(NOON + MINUTE);
    run(entry('all', '*/30 * * * *', { catchUp: 'all' }), entry('none', '*/30 * * * *'));
    clock.setWall(NOON + HOUR + 10 * MINUTE);
    clock.advance(20 * MINUTE);
    expect(taken()).toEqual(['all 12:30+', 'all 13:00+', 'all 13:30', 'none 13:30']);
  });

  it('begins anew when the clock had been days ahead', () => {
    const { clock, run, taken, lines } = bench(NOON + MINUTE);
    const job = entry('job', '0 * * * *', { catchUp: 'last' });
    const first = run(job);
    clock.setWall(NOON + 40 * DAY + MINUTE);
    clock.advance(MINUTE);
    expect(taken()).toEqual(['job 12:00+']);
    first.close();
    clock.setWall(NOON + MINUTE);
    const second = run(job);
    expect(lines.join('\n')).toMatch(/put back by more than a day: job begins anew/);
    expect(second.next('job')).toBe(NOON + HOUR);
    clock.advance(HOUR);
    expect(taken()).toEqual(['job 13:00']);
    second.close();
  });

  it('begins a changed schedule from now, and leaves the others alone', () => {
    const { clock, run, taken } = bench(NOON + MINUTE);
    const same = entry('same', '0 * * * *', { catchUp: 'all' });
    run(
      entry('job', '0 0 * * *', { catchUp: 'all' }),
      entry('zone', '0 * * * *', { catchUp: 'all' }),
      same,
    ).close();
    clock.advance(5 * HOUR);
    const again = run(
      entry('job', '0 * * * *', { catchUp: 'all' }),
      entry('zone', '0 * * * *', { catchUp: 'all', timezone: 'Asia/Tokyo' }),
      same,
    );
    clock.advance(0);
    expect(taken()).toEqual(['same 13:00+', 'same 14:00+', 'same 15:00+', 'same 16:00+', 'same 17:00+']);
    again.reconfigure([entry('job', '30 * * * *'), same]);
    expect(again.next('zone')).toBeNull();
    clock.advance(HOUR);
    expect(taken()).toEqual(['job 17:30', 'same 18:00']);
  });

  it('takes a job that comes back for a new one, and an enabled one from then on', () => {
    const { clock, run, taken } = bench(NOON + MINUTE);
    const job = entry('job', '0 * * * *', { catchUp: 'all' });
    const scheduler = run(job);
    scheduler.reconfigure([{ ...job, enabled: false }]);
    expect(scheduler.next('job')).toBeNull();
    clock.advance(3 * HOUR);
    scheduler.reconfigure([job]);
    clock.advance(0);
    scheduler.reconfigure([]);
    clock.advance(3 * HOUR);
    expect(clock.pending).toBe(0);
    scheduler.reconfigure([job]);
    clock.advance(0);
    expect(taken()).toEqual([]);
    clock.advance(HOUR);
    expect(taken()).toEqual(['job 19:00']);
    scheduler.close();
    clock.advance(3 * HOUR);
    run({ ...job, enabled: false }).close();
    run(job);
    clock.advance(0);
    expect(taken()).toEqual([]);
  });

  it('forgets a job that is removed, also for the next start', () => {
    const { clock, run, taken } = bench(NOON + MINUTE);
    const job = entry('job', '0 * * * *', { catchUp: 'all' });
    const first = run(job);
    first.reconfigure([]);
    first.close();
    clock.advance(3 * HOUR);
    run(job);
    clock.advance(0);
    expect(taken()).toEqual([]);
  });

  it('does not use a slot again for a changed schedule when the clock was put back', () => {
    const { clock, run, taken } = bench(NOON + MINUTE);
    const scheduler = run(entry('job', '0 * * * *'));
    clock.advance(HOUR);
    expect(taken()).toEqual(['job 13:00']);
    clock.setWall(NOON + 40 * MINUTE);
    scheduler.reconfigure([entry('job', '*/30 * * * *')]);
    clock.advance(HOUR);
    expect(taken()).toEqual(['job 13:30']);
  });

  it('notes a slot as used only together with its effects, and tries again', () => {
    const { clock, db, run, control, taken, faults } = bench(NOON + 30 * SECOND);
    run(entry('bad', '1 12 * * *'), entry('good', '1 12 * * *'));
    control.refuse = ({ entry: { id } }) => id === 'bad';
    clock.advance(3 * MINUTE);
    expect(taken()).toEqual(['good 12:01']);
    expect(faults).toEqual(['the disk is full']);
    expect(db.all('SELECT id FROM effects')).toEqual([{ id: 'good' }]);
    control.refuse = () => false;
    clock.advance(2 * MINUTE);
    expect(taken()).toEqual(['bad 12:01']);
    expect(faults).toEqual(['the disk is full', undefined]);
    expect(db.all('SELECT id, slot FROM effects ORDER BY id')).toEqual([
      { id: 'bad', slot: NOON + MINUTE },
      { id: 'good', slot: NOON + MINUTE },
    ]);
  });

  it('does not fire a slot again where something fails after it was written', () => {
    const { clock, db, run, control, taken, faults } = bench(NOON + 30 * SECOND);
    run(entry('job', '* * * * *'));
    control.refuse = () => {
      db.afterCommit(() => {
        throw new Error('nobody listens');
      });
      return false;
    };
    clock.advance(MINUTE);
    control.refuse = () => false;
    clock.advance(MINUTE);
    expect(taken()).toEqual(['job 12:01', 'job 12:02']);
    expect(db.get('SELECT count(*) AS n FROM effects')).toEqual({ n: 2 });
    expect(faults).toEqual([]);
  });

  it('does not pile up slots while they cannot fire', () => {
    const { clock, run, control, taken } = bench(NOON + 30 * SECOND);
    run(entry('job', '* * * * *'));
    control.refuse = () => true;
    clock.advance(DAY);
    control.refuse = () => false;
    clock.advance(2 * MINUTE);
    expect(taken().length).toBeLessThanOrEqual(13);
  });

  it('waits for a database that cannot write, and fires then', () => {
    const { clock, db, run, taken, faults } = bench(NOON + 30 * SECOND);
    run(entry('job', '* * * * *'));
    db.exec('PRAGMA query_only = 1');
    clock.advance(90 * SECOND);
    expect(taken()).toEqual([]);
    expect(faults).toHaveLength(1);
    db.exec('PRAGMA query_only = 0');
    clock.advance(LONG_ENOUGH);
    expect(taken().slice(0, 2)).toEqual(['job 12:01', 'job 12:02']);
    expect(faults.at(-1)).toBeUndefined();
  });

  it('fires a thousand jobs of one minute in turns', () => {
    const { clock, run, fired } = bench(NOON - MINUTE + SECOND);
    const jobs = Array.from({ length: 1_000 }, (_, index) =>
      entry(`job-${index}`, `0 12 ${(index % 5) + 1}-31 * *`),
    );
    run(...jobs);
    clock.advance(59 * SECOND);
    expect(new Set(fired.map(({ entry: { id } }) => id)).size).toBe(1_000);
    expect(fired).toHaveLength(1_000);
    expect(fired.every(({ slot, caughtUp }) => slot === NOON && !caughtUp)).toBe(true);
  });

  it('has no timer where nothing ever fires', () => {
    const { clock, run } = bench();
    const never = run(entry('never', '0 0 31 2 *'), entry('off', '* * * * *', { enabled: false }));
    expect(clock.pending).toBe(0);
    expect(never.next('never')).toBeNull();
    expect(never.next('off')).toBeNull();
    expect(never.last('unknown')).toBeNull();
  });

  it('says how it stands, and is quiet after its end', () => {
    const { clock, run, fired } = bench(NOON + MINUTE);
    const scheduler = run(
      entry('a', '0 * * * *'),
      entry('off', '* * * * *', { enabled: false }),
      entry('rule:r:0', '30 * * * *', { kind: 'rule' }),
    );
    clock.advance(HOUR);
    expect(scheduler.status()).toEqual({
      enabled: true,
      jobs: ['a'],
      last_fires: { a: '2026-05-05T13:00:00.000Z' },
      next: { id: 'a', at: '2026-05-05T14:00:00.000Z' },
    });
    scheduler.close();
    clock.advance(DAY);
    expect(fired).toHaveLength(2);
    expect(clock.pending).toBe(0);
  });
});

/** Longer than any pause between two tries. */
const LONG_ENOUGH = 61 * SECOND;
