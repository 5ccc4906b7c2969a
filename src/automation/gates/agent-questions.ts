import { createHash } from 'node:crypto';
import type { StateDatabase } from '../../database/state-database.js';
import type { Log } from '../../platform/log.js';
import type { Gate } from '../../protocol/automation.js';
import { messageOf } from '../../protocol/errors.js';
import { visibleLine } from '../../protocol/visible-text.js';
import type { GateKeeper } from './gate-keeper.js';
import { type PermissionRequest, permissionAction, permissionSummary } from './permission-text.js';

/** A question of an agent for permission. */
export interface AgentQuestion extends PermissionRequest {
  attemptId: string;
  /** The agent's own name of the question. */
  questionId: string;
  /** What "always" would stand for, in the agent's own terms; null where it offers nothing. */
  rule: string | null;
  ruleId: string | null;
  causedBy: string | null;
}

export interface AgentAnswer {
  allow: boolean;
  /** Also for what the question's `rule` covers. */
  always: boolean;
  /** For a no: why. */
  message: string;
}

export interface AgentQuestionsOptions {
  db: StateDatabase;
  log: Log;
  gates: GateKeeper;
  expireMinutes: () => number;
}

/** The runs of gates that agents ask are named so. */
const PREFIX = 'attempt:';
const PLAIN_ID = /^[\w.-]{1,100}$/u;
/** A longer rule is not offered: nobody would read it to its end. */
const MAX_RULE_LENGTH = 500;
/** Rules that are remembered, of all tasks together. */
const MOST_RULES = 10_000;
const MINUTE_MS = 60_000;

const TABLE = `
  CREATE TABLE IF NOT EXISTS allowed_rules (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id TEXT NOT NULL,
    rule TEXT NOT NULL,
    UNIQUE (task_id, rule)
  );
`;

/** Questions of agents for permission, as gates; and what people have allowed for good. */
export class AgentQuestions {
  readonly #options: AgentQuestionsOptions;
  /** Whom to tell, by the gate's id. */
  readonly #listeners = new Map<string, (answer: AgentAnswer) => void>();

  constructor(options: AgentQuestionsOptions) {
    this.#options = options;
    options.db.exec(TABLE);
  }

  /** Whether a gate of this run is an agent's question. */
  static isAskedBy(runId: string): boolean {
    return runId.startsWith(PREFIX);
  }

  /**
   * Asks; the same question of the same attempt has one gate for ever, so its answer may be there already. `onAnswer` is
   * called once, when the answer is on disk. Throws INVALID_PARAMS for a question too long to be judged, OVERLOADED,
   * STORAGE_FULL or STORAGE_FAILED.
   */
  ask(question: AgentQuestion, onAnswer: (answer: AgentAnswer) => void): void {
    const { gates, expireMinutes } = this.#options;
    const runId = runIdOf(question.attemptId, question.questionId);
    const action = permissionAction(question);
    const known = gates.find(runId, action);
    // One that was withdrawn has no answer of anybody.
    const isKnown = known !== undefined && (known.state !== 'rejected' || known.answeredBy !== null);
    const gate = isKnown
      ? known
      : gates.ask({
          kind: 'permission',
          summary: permissionSummary(question),
          action,
          always: offered(question.rule),
          ruleId: question.ruleId,
          taskId: question.taskId,
          runId,
          expireMinutes: expireMinutes(),
          causeEventId: question.causedBy,
        });
    if (gate.state === 'pending') this.#listeners.set(gate.id, onAnswer);
    else onAnswer(this.#answerOf(gate));
  }

  /** Within the transaction in which the answer is stored. `always`: it was given for good. */
  answered(gate: Gate, always: boolean): void {
    const { db } = this.#options;
    if (always && gate.taskId !== null && gate.always !== null) this.#allow(gate.taskId, gate.always);
    db.afterCommit(() => {
      const listener = this.#listeners.get(gate.id);
      this.#listeners.delete(gate.id);
      listener?.(this.#answerOf(gate));
    });
  }

  /** Rules that people allowed for the task with "always". */
  allowed(taskId: string): string[] {
    return this.#options.db
      .all('SELECT rule FROM allowed_rules WHERE task_id = ? ORDER BY number', taskId)
      .map(({ rule }) => String(rule));
  }

  /** Forgets what was allowed for good to any task. */
  forgetAllowed(): void {
    this.#options.db.run('DELETE FROM allowed_rules');
  }

  /** What the attempt has asked needs no answer any more; or only its question `questionId`. Never throws. */
  withdraw(attemptId: string, reason: string, questionId?: string): void {
    const only = questionId === undefined ? undefined : runIdOf(attemptId, questionId);
    const prefix = `${PREFIX}${attemptId}:`;
    this.#withdraw((runId) => (only === undefined ? runId.startsWith(prefix) : runId === only), reason);
  }

  /** Withdraws what attempts have asked that nobody follows any more. */
  keepOnly(attempts: ReadonlySet<string>): void {
    const isGone = (runId: string): boolean =>
      AgentQuestions.isAskedBy(runId) && !attempts.has(runId.split(':')[1] ?? '');
    this.#withdraw(isGone, 'The agent that asked has ended');
  }

  #withdraw(concerns: (runId: string) => boolean, reason: string): void {
    const { gates, log } = this.#options;
    try {
      for (const gate of gates.withdrawAll(concerns, reason)) this.#listeners.delete(gate.id);
    } catch (error) {
      // It expires in its time; nobody is asked in vain for longer than that.
      log.warn(
        { error: messageOf(error) },
        'A question that needs no answer any more could not be withdrawn',
      );
    }
  }

  #allow(taskId: string, rule: string): void {
    const { db } = this.#options;
    const { changes, id } = db.run(
      'INSERT OR IGNORE INTO allowed_rules (task_id, rule) VALUES (?, ?)',
      taskId,
      rule,
    );
    if (changes > 0) db.run('DELETE FROM allowed_rules WHERE number <= ?', id - MOST_RULES);
  }

  #answerOf(gate: Gate): AgentAnswer {
    const { state, reason, taskId, always, createdAt, expiresAt } = gate;
    if (state === 'approved') {
      const good = always !== null && taskId !== null && this.allowed(taskId).includes(always);
      return { allow: true, always: good, message: '' };
    }
    const minutes = Math.round((Date.parse(expiresAt) - Date.parse(createdAt)) / MINUTE_MS);
    const no = reason === null ? 'A person said no.' : `A person said no: ${reason}`;
    const time = minutes === 1 ? '1 minute' : `${minutes} minutes`;
    const message = state === 'expired' ? `Nobody answered within ${time}.` : no;
    return { allow: false, always: false, message };
  }
}

/** Only a rule that is read as it stands. */
function offered(rule: string | null): string | null {
  return rule !== null && rule !== '' && rule.length <= MAX_RULE_LENGTH && visibleLine(rule) === rule
    ? rule
    : null;
}

function runIdOf(attemptId: string, questionId: string): string {
  const id = PLAIN_ID.test(questionId) ? questionId : createHash('sha256').update(questionId).digest('hex');
  return `${PREFIX}${attemptId}:${id}`;
}
