import { closeSync, openSync, readdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { StateDatabase } from '#aiwgd/database/state-database.js';
import { FakeClock } from '#aiwgd/testing/fake-clock.js';
import { tempFolder } from '../support/temp.js';

const QUIET = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

function open(onFault: (error: Error | undefined) => void): StateDatabase {
  const path = join(tempFolder(), 'state.db');
  const db = new StateDatabase({ path, clock: new FakeClock(0), log: QUIET, onFault });
  onTestFinished(() => db.close());
  db.exec('CREATE TABLE things (data TEXT)');
  return db;
}

const LARGE = 'x'.repeat(100_000);
const store = (db: StateDatabase) => db.transaction(() => db.run('INSERT INTO things VALUES (?)', LARGE));

describe('the faults of the state database', () => {
  it('last while nothing can be written, whatever is read or begun meanwhile', () => {
    const told: (string | undefined)[] = [];
    const db = open((error) => told.push(error && 'fault'));
    db.exec('PRAGMA max_page_count = 3');
    for (let tries = 0; tries < 3; tries++) {
      expect(() => store(db)).toThrow('full');
      db.all('SELECT * FROM things');
    }
    expect(new Set(told)).toEqual(new Set(['fault']));
    db.exec('PRAGMA max_page_count = 1000000');
    store(db);
    expect(told.at(-1)).toBeUndefined();
  });

  it('are told when whoever hears of them can write, and what follows from a transaction is not lost', () => {
    const heard: boolean[] = [];
    const db = open(() => {
      heard.push(db.inTransaction);
      db.transaction(() => db.all('SELECT * FROM things'));
    });
    db.exec('PRAGMA max_page_count = 3');
    expect(() => store(db)).toThrow('full');
    db.exec('PRAGMA max_page_count = 1000000');
    let followed = false;
    db.transaction(() => {
      db.afterCommit(() => {
        followed = true;
      });
      db.run('INSERT INTO things VALUES (?)', LARGE);
    });
    expect(heard).toEqual([false, false]);
    expect(followed).toBe(true);
  });
});

it('is begun anew where pages within are damaged, and the damaged one is kept', () => {
  const folder = tempFolder();
  const path = join(folder, 'state.db');
  const clock = new FakeClock(0);
  const before = new StateDatabase({ path, clock, log: QUIET });
  before.exec('CREATE TABLE things (data TEXT)');
  for (let row = 0; row < 50; row++) before.run('INSERT INTO things VALUES (?)', 'x'.repeat(1_000));
  before.get('PRAGMA wal_checkpoint(TRUNCATE)');
  before.close();
  const file = openSync(path, 'r+');
  writeSync(file, Buffer.alloc(4_096 * 3, 0x5a), 0, 4_096 * 3, 4_096);
  closeSync(file);
  const after = new StateDatabase({ path, clock, log: QUIET });
  onTestFinished(() => after.close());
  after.exec('CREATE TABLE IF NOT EXISTS things (data TEXT)');
  expect(after.all('SELECT * FROM things')).toEqual([]);
  expect(readdirSync(folder).filter((name) => /damaged-\w+$/.test(name))).toHaveLength(1);
});
