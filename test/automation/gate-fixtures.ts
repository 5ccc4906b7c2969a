import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { GateKeeper, type GateKeeperOptions } from '#aiwgd/automation/gates/gate-keeper.js';
import type { GateQuestion } from '#aiwgd/automation/gates/gate-question.js';
import { StateDatabase } from '#aiwgd/database/state-database.js';
import type { Log } from '#aiwgd/platform/log.js';
import type { Gate } from '#aiwgd/protocol/automation.js';
import { AiwgdError } from '#aiwgd/protocol/errors.js';
import type { AiwgEvent } from '#aiwgd/protocol/event.js';
import { FakeClock } from '#aiwgd/testing/fake-clock.js';
import { tempFolder } from '../support/temp.js';

export const BY = 'uid 1000 (alice) over the socket';
export const MINUTE = 60_000;

export interface Desk {
  keeper: GateKeeper;
  db: StateDatabase;
  clock: FakeClock;
  events: AiwgEvent[];
  answers: { gate: Gate; runId: string }[];
  warnings: string[];
  /** Ends the keeper and its database, as a daemon that ends, or is killed, does. */
  end: () => void;
}

/** A keeper with a database of its own, not started. */
export function openDesk(
  folder = tempFolder(),
  clock = new FakeClock(),
  options: Partial<GateKeeperOptions> = {},
): Desk {
  const events: AiwgEvent[] = [];
  const answers: Desk['answers'] = [];
  const warnings: string[] = [];
  const log: Log = {
    debug: () => {},
    info: () => {},
    warn: (_fields, message) => void warnings.push(message),
    error: (_fields, message) => void warnings.push(message),
  };
  const db = new StateDatabase({ path: join(folder, 'automation.db'), clock, log });
  const keeper = new GateKeeper({
    db,
    clock,
    log,
    publish: (event) => {
      const published = { ...event, id: `e${events.length + 1}`, timestamp: '2026-01-01T00:00:00.000Z' };
      events.push(published);
      return published;
    },
    onAnswered: (gate, runId) => void answers.push({ gate, runId }),
    ...options,
  });
  let open = true;
  const end = (): void => {
    if (!open) return;
    open = false;
    keeper.close();
    db.close();
  };
  onTestFinished(end);
  return { keeper, db, clock, events, answers, warnings, end };
}

export function question(more: Partial<GateQuestion> = {}): GateQuestion {
  return {
    kind: 'rule',
    summary: 'Deploy the docs?',
    action: 'command ["./deploy.sh", "docs"]',
    ruleId: 'deploy',
    runId: 'run-1',
    expireMinutes: 60,
    causeEventId: 'e-cause',
    ...more,
  };
}

/** The error of the catalogue with which `work` is refused. */
export function failure(work: () => unknown): AiwgdError {
  try {
    work();
  } catch (error) {
    if (error instanceof AiwgdError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}
