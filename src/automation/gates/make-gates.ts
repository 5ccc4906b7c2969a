import type { StateDatabase } from '../../database/state-database.js';
import type { Clock } from '../../platform/clock.js';
import type { Log } from '../../platform/log.js';
import type { Publish } from '../ports.js';
import { AgentQuestions } from './agent-questions.js';
import { GateKeeper } from './gate-keeper.js';

export interface GatesOptions {
  db: StateDatabase;
  clock: Clock;
  log: Log;
  publish: Publish;
  gateMinutes: () => number;
}

/** The gates, and those of them that agents ask. `onRunAnswered` is told of the others when their answer is on disk. */
export function makeGates(
  { gateMinutes, ...options }: GatesOptions,
  onRunAnswered: (runId: string) => void,
): { gates: GateKeeper; questions: AgentQuestions } {
  const { db, log } = options;
  const gates = new GateKeeper({
    ...options,
    onAnswered: (gate, runId, always) => {
      if (AgentQuestions.isAskedBy(runId)) questions.answered(gate, always);
      else db.afterCommit(() => onRunAnswered(runId));
    },
  });
  const questions = new AgentQuestions({ db, log, gates, expireMinutes: gateMinutes });
  return { gates, questions };
}
