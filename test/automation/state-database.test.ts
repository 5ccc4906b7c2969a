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
