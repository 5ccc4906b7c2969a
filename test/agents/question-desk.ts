import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Answer } from '#aiwgd/agents/agent-provider.js';
import type { AttemptQuestion, QuestionPort } from '#aiwgd/agents/ports.js';
import { AgentQuestions } from '#aiwgd/automation/gates/agent-questions.js';
import { GateKeeper } from '#aiwgd/automation/gates/gate-keeper.js';
import { StateDatabase } from '#aiwgd/database/state-database.js';
import { systemClock } from '#aiwgd/platform/clock.js';
import type { Log } from '#aiwgd/platform/log.js';
import type { Gate } from '#aiwgd/protocol/automation.js';
import type { AiwgEvent } from '#aiwgd/protocol/event.js';

const SILENT: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** The gates of a daemon without the daemon: takes the questions of a rig's agents. */
export class QuestionDesk implements QuestionPort, Disposable {
  readonly gates: GateKeeper;
  readonly questions: AgentQuestions;
  readonly #folder: string;
  readonly #db: StateDatabase;

  constructor(expireMinutes = 60) {
    this.#folder = mkdtempSync(join(tmpdir(), 'aiwgd-desk-'));
    this.#db = new StateDatabase({
      path: join(this.#folder, 'automation.db'),
      clock: systemClock,
      log: SILENT,
    });
    const publish = (event: object): AiwgEvent => ({ ...event, id: 'e', timestamp: '' }) as AiwgEvent;
    this.gates = new GateKeeper({
      db: this.#db,
      clock: systemClock,
      log: SILENT,
      publish,
      onAnswered: (gate, _runId, always) => this.questions.answered(gate, always),
    });
    this.questions = new AgentQuestions({
      db: this.#db,
      log: SILENT,
      gates: this.gates,
      expireMinutes: () => expireMinutes,
    });
    this.gates.start();
  }

  get pending(): Gate[] {
    return this.gates.list('pending').toReversed();
  }

  async ask({ question, ...asker }: AttemptQuestion, onAnswer: (answer: Answer) => void): Promise<void> {
    const { id: questionId, ...rest } = question;
    this.questions.ask({ ...asker, ...rest, questionId }, onAnswer);
  }

  async allowed(taskId: string): Promise<readonly string[]> {
    return this.questions.allowed(taskId);
  }

  withdraw(attemptId: string, reason: string, questionId?: string): void {
    this.questions.withdraw(attemptId, reason, questionId);
  }

  keepOnly(attempts: ReadonlySet<string>): void {
    this.questions.keepOnly(attempts);
  }

  [Symbol.dispose](): void {
    this.gates.close();
    this.#db.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
