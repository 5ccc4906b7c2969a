import type { StateDatabase } from '../database/state-database.js';
import { isStorageFault } from '../database/storage-error.js';
import { type Clock, sleep } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import type { AutomationStatus, RuleVerdict, TraceAnswer } from '../protocol/automation.js';
import type { RuleConfig } from '../protocol/config/config-schema.js';
import { AiwgdError, messageOf } from '../protocol/errors.js';
import type { AiwgEvent, NewEvent } from '../protocol/event.js';
import { type Batch, Batches } from './batches.js';
import { CommandQuestions } from './command-questions.js';
import { Decisions, type Verdict } from './decisions.js';
import type { AgentQuestions } from './gates/agent-questions.js';
import type { GateKeeper } from './gates/gate-keeper.js';
import { makeGates } from './gates/make-gates.js';
import { Lineage } from './lineage.js';
import { MissedEvents } from './missed-events.js';
import type { BuiltIn, CommandPort, DeadLetterPort, Publish, TaskPort } from './ports.js';
import { ReadyRule } from './ready-rule.js';
import { RuleBook } from './rule-book.js';
import { ruleStatus } from './rule-status.js';
import type { Facts } from './rules/conditions.js';
import { dryRun, type TriedRule } from './rules/dry-run.js';
import { replay } from './rules/replay.js';
import { RuleIndex } from './rules/rule-index.js';
import { watchedPathOf } from './rules/triggers.js';
import type { RunContext } from './runs/run-context.js';
import { type RunRecord, RunRecords, splitOwner } from './runs/run-records.js';
import { Runs } from './runs/runs.js';
import { TaskWaits } from './runs/task-waits.js';
import { TaskEnds } from './task-ends.js';
import { Traces } from './traces.js';
import { whyUnseen } from './why-unseen.js';

export interface AutomationOptions {
  db: StateDatabase;
  clock: Clock;
  log: Log;
  rules: readonly RuleConfig[];
  publish: Publish;
  tasks: TaskPort;
  commands: CommandPort;
  deadLetters: DeadLetterPort;
  builtIns: Readonly<Record<string, BuiltIn>>;
  /** The daemon's environment, for secrets to sign with. */
  environment: Readonly<Record<string, string | undefined>>;
  version: string;
  gateMinutes: () => number;
  /** The files of what built-in actions said. */
  outcomes: { write: RunContext['writeOutcome']; forget: (runIds: readonly string[]) => void };
  /** The newest events, oldest first, for dry runs. */
  history: () => AiwgEvent[];
  random?: () => number;
}

const RETRY_MS = 1_000;
const RECENT_EXECUTIONS = 20;
const UNSEEN_LOOKED_AT = 50;

/**
 * Makes of events what the rules say. An event is taken in within the call that publishes it, and on disk what follows
 * from it before that returns: neither a crash nor a restart loses a firing, or fires twice.
 */
export class AutomationEngine {
  readonly gates: GateKeeper;
  /** Gates that agents ask for permission. */
  readonly questions: AgentQuestions;
  readonly runs: Runs;
  readonly records: RunRecords;
  /** Which ends of tasks the rules know. */
  readonly ends: TaskEnds;
  readonly #options: AutomationOptions;
  readonly #book: RuleBook;
  readonly #lineage: Lineage;
  readonly #batches: Batches;
  readonly #questions: CommandQuestions;
  readonly #traces: Traces;
  readonly #decisions: Decisions;
  #rules = new Map<string, ReadyRule>();
  #index: RuleIndex;
  /** The rules that an event descends from that is being published by a run. */
  #descent: readonly string[] | undefined;
  /** The evaluation of each rule's newest batch: one after the other. */
  readonly #settling = new Map<string, Promise<void>>();
  readonly #missed: MissedEvents;
  readonly #over = new AbortController();

  constructor(options: AutomationOptions) {
    const { db, clock, log, tasks } = options;
    this.#options = options;
    this.#book = new RuleBook(db);
    this.#lineage = new Lineage(db, clock);
    this.records = new RunRecords(db, options.outcomes.forget);
    const { gates, questions } = makeGates(options, (runId) => this.runs.gateAnswered(runId));
    this.gates = gates;
    this.questions = questions;
    const context: RunContext = {
      ...options,
      writeOutcome: options.outcomes.write,
      records: this.records,
      waits: new TaskWaits(tasks, clock),
      gates: this.gates,
      publish: (event, rules) => this.#publishFrom(event, rules),
      recordLineage: (id, rules) => this.#lineage.record(id, rules),
      random: options.random ?? Math.random,
    };
    this.runs = new Runs(
      context,
      (record) => this.#runEnded(record),
      (owner) => this.#mayBegin(owner),
    );
    this.#traces = new Traces(db, clock, (runId) => this.runs.reportsOf(runId));
    this.#questions = new CommandQuestions(options);
    this.#missed = new MissedEvents({ clock, log, take: (event) => this.#take(event) });
    this.ends = new TaskEnds({ db, clock, log, behind: () => this.#missed.waiting });
    this.#batches = new Batches({
      db,
      clock,
      onDue: (batch) => this.#settleInTurn(batch),
      onOverflow: (ruleId) =>
        log.warn({ ruleId }, 'Too many files wait for a rule: it will not see the oldest'),
    });
    this.#decisions = new Decisions({ ...options, book: this.#book, runs: this.runs, traces: this.#traces });
    this.#index = this.#make(options.rules);
  }

  /** Takes up what an earlier daemon left: events that waited, runs, gates. Tasks must be known to the queue by now. */
  async start(): Promise<void> {
    const { tasks, clock } = this.#options;
    await this.#questions.start();
    for (const taskId of this.#lineage.openTasks()) {
      const task = await tasks.get(taskId);
      if (task?.state !== 'running') this.#lineage.ended(taskId, clock.now());
    }
    this.gates.start();
    this.#batches.load((ruleId) => this.#rules.has(ruleId));
    this.runs.start();
  }

  /** Other rules hold from the next event on; runs that are at work go on as they were begun. */
  reconfigure(rules: readonly RuleConfig[]): void {
    this.#index = this.#make(rules);
    this.runs.proceed();
  }

  #make(rules: readonly RuleConfig[]): RuleIndex {
    this.#rules = new Map(rules.map((rule) => [rule.id, new ReadyRule(rule)]));
    const index = new RuleIndex(rules);
    this.ends.listen((event) => index.candidates(event).length > 0);
    return index;
  }

  /** Takes an event in, within the call that publishes it. Never throws: what cannot be written now is tried again. */
  readonly take = (event: AiwgEvent): void => {
    this.runs.note(event);
    const { db } = this.#options;
    if (!db.inTransaction) {
      this.#missed.take(event);
      return;
    }
    try {
      this.#take(event);
    } catch (error) {
      // Whoever opened the transaction sees it fail, and reports the event again.
      db.fail(error instanceof Error ? error : new Error(String(error)));
    }
  };

  #take(event: AiwgEvent): void {
    this.#lineage.follow(event);
    const isEnd = this.ends.follow(event);
    const candidates = this.#index.candidates(event);
    if (candidates.length === 0) return;
    const ancestry =
      this.#descent === undefined ? this.#lineage.of(event) : { rules: this.#descent, via: '' };
    const passing = candidates.flatMap(({ id }) => {
      const rule = this.#rules.get(id);
      return rule !== undefined && this.#decisions.passes(rule, event, ancestry) ? [rule] : [];
    });
    if (passing.length === 0 && !isEnd) return;
    this.#options.db.transaction(() => {
      if (isEnd) this.ends.note(event);
      for (const rule of passing) this.#admit(rule, event, ancestry.rules);
    });
  }

  /** Acts at once where nothing is open, else lets the event wait. */
  #admit(rule: ReadyRule, event: AiwgEvent, rules: readonly string[]): void {
    const facts = rule.facts(this.#book, this.#options.clock.now());
    if (rule.conditions.now(event, facts) === 'open') {
      const quietMs = rule.conditions.waitMs(event, facts);
      const room = this.#batches.add(rule.id, { event, rules }, quietMs);
      this.#decisions.waits(rule, event, { quietMs, room });
      return;
    }
    const path = watchedPathOf(event);
    const files = path === undefined ? [] : [path];
    const { reports } = rule.conditions.explain(event, facts);
    this.#decisions.fire(rule, { ruleId: rule.id, event, files, count: 1, rules, rows: null }, reports);
  }

  #settleInTurn(batch: Batch): void {
    const before = this.#settling.get(batch.ruleId) ?? Promise.resolve();
    const mine = before
      .then(() => this.#settle(batch))
      .catch((error: unknown) => {
        this.#options.log.error({ err: error, ruleId: batch.ruleId }, 'A batch of events met a fault');
      })
      .finally(() => {
        if (this.#settling.get(batch.ruleId) === mine) this.#settling.delete(batch.ruleId);
      });
    this.#settling.set(batch.ruleId, mine);
  }

  /** The batch stays on disk until what became of it is. */
  async #settle(batch: Batch): Promise<void> {
    const { db, clock } = this.#options;
    let judged: { rule: ReadyRule | undefined; verdict: Verdict | undefined } | undefined;
    while (!this.#over.signal.aborted) {
      const rule = this.#rules.get(batch.ruleId);
      // A rule that was changed meanwhile judges anew.
      if (judged === undefined || judged.rule !== rule) {
        judged = { rule, verdict: rule && (await this.#verdictOn(rule, batch.event)) };
        continue;
      }
      const { verdict } = judged;
      try {
        db.transaction(() => {
          this.#batches.done(batch);
          if (rule !== undefined) this.#decisions.settled(rule, batch, verdict);
        });
        return;
      } catch (error) {
        if (!isStorageFault(error)) throw error;
        // The database has told its fault.
        await sleep(clock, RETRY_MS, this.#over.signal);
      }
    }
  }

  /** Undefined for a rule that is held. */
  async #verdictOn(rule: ReadyRule, event: AiwgEvent): Promise<Verdict | undefined> {
    if (this.#decisions.held(rule) !== undefined) return undefined;
    const facts = rule.facts(this.#book, this.#options.clock.now());
    return rule.conditions.settled(event, facts, (one, about) => this.#questions.ask(one, about));
  }

  #publishFrom(event: NewEvent, rules: readonly string[]): AiwgEvent {
    const before = this.#descent;
    this.#descent = rules;
    try {
      const published = this.#options.publish(event);
      this.#lineage.record(published.id, rules);
      return published;
    } finally {
      this.#descent = before;
    }
  }

  /** Who switches a rule off wants to see no further agent of it, also not one of a run that waited already. */
  #mayBegin(owner: string): boolean {
    const [kind, id] = splitOwner(owner);
    if (kind !== 'rule') return true;
    const rule = this.#rules.get(id);
    return rule === undefined ? !this.#book.allDisabled : this.#decisions.switchedOff(rule) === undefined;
  }

  #runEnded({ owner, endedAt }: RunRecord): void {
    const [kind, id] = splitOwner(owner);
    // Only who rests after a run has to know when it ended.
    if (kind !== 'rule' || this.#rules.get(id)?.config.cooldown_ms === 0) return;
    try {
      this.#book.change(id, { lastEndedAt: endedAt });
    } catch (error) {
      this.#options.log.warn(
        { ruleId: id, reason: messageOf(error) },
        'The end of a run is not noted for the cooldown',
      );
    }
  }

  /** Delivers a dead letter again: the action that failed gets one try. Rejects with its error. */
  async redeliver(ruleId: string, event: AiwgEvent): Promise<void> {
    const rule = this.#rules.get(ruleId);
    if (rule === undefined) throw noSuchRule(ruleId);
    const again = this.runs.tryAgain(rule.owner, event.id);
    if (again !== undefined) return again;
    const { rules } = this.#lineage.of(event);
    const batch: Batch = { ruleId, event, files: [], count: 1, rules, rows: null };
    const refused = this.#options.db.transaction(() => this.#decisions.fire(rule, batch, []));
    if (refused !== undefined) throw new AiwgdError('CONFLICT', `The rule ${ruleId} cannot run: ${refused}.`);
  }

  status(): AutomationStatus {
    return {
      enabled: !this.#book.allDisabled,
      ruleCount: this.#rules.size,
      rules: [...this.#rules.values()].map((rule) =>
        ruleStatus(
          rule,
          this.#book.of(rule.id),
          this.runs.counts(rule.owner),
          this.#batches.waiting(rule.id),
        ),
      ),
      recentExecutions: this.records.recent(RECENT_EXECUTIONS),
    };
  }

  /** Lets a rule go on, or all of automation. NOT_FOUND; CONFLICT for a rule that the configuration switches off. */
  enable(ruleId?: string): void {
    const { db, log } = this.#options;
    if (ruleId === undefined) {
      db.transaction(() => this.#book.disableAll(false), { durable: true });
    } else {
      const { config } = this.#rule(ruleId);
      if (!config.enabled) {
        throw new AiwgdError(
          'CONFLICT',
          `The rule ${ruleId} is switched off in the configuration: set its \`enabled\` to true there, and reload.`,
        );
      }
      const change = { disabled: false, paused: false, fires: [] };
      db.transaction(() => this.#book.change(ruleId, change), { durable: true });
    }
    log.info({ ruleId: ruleId ?? null }, 'automation enabled');
    this.runs.proceed();
  }

  /** Keeps a rule from firing and its waiting runs from beginning, or those of all rules, also after a restart. NOT_FOUND. */
  disable(ruleId?: string): void {
    const { db, log } = this.#options;
    if (ruleId !== undefined) this.#rule(ruleId);
    db.transaction(
      () =>
        ruleId === undefined ? this.#book.disableAll(true) : this.#book.change(ruleId, { disabled: true }),
      { durable: true },
    );
    log.info({ ruleId: ruleId ?? null }, 'automation disabled');
  }

  /** Which rules would fire on the event, and why not the others. Nothing is done. */
  test(event: AiwgEvent, ruleId?: string): RuleVerdict[] {
    return dryRun(this.#tried(ruleId), event, (id) => this.#factsOf(id));
  }

  /** Which rules would have fired on the events of the history from `since` on (ms since 1970). */
  testHistory(since: number, ruleId?: string): RuleVerdict[] {
    const events = this.#options.history().filter(({ timestamp }) => Date.parse(timestamp) >= since);
    return replay(this.#tried(ruleId), events);
  }

  trace(ruleId: string | undefined, limit: number): TraceAnswer {
    const rules = ruleId === undefined ? [...this.#rules.values()] : [this.#rule(ruleId)];
    const silent = rules.filter(({ id }) => !this.#traces.has(id));
    const newest = this.#options.history().at(-1);
    return {
      entries: this.#traces.list(ruleId, limit),
      unseen: silent
        .slice(0, UNSEEN_LOOKED_AT)
        .map((rule) => ({ ruleId: rule.id, why: whyUnseen(rule, this.#batches.waiting(rule.id), newest) })),
    };
  }

  /** What is at work is left as it is on disk, for the next daemon. Resolves when no command runs any more. */
  async close(): Promise<void> {
    this.#over.abort();
    this.#missed.close();
    this.ends.close();
    this.#batches.close();
    this.runs.close();
    this.gates.close();
    this.#traces.close();
    await this.#questions.close();
  }

  #tried(ruleId: string | undefined): TriedRule[] {
    const { allDisabled } = this.#book;
    return (ruleId === undefined ? [...this.#rules.values()] : [this.#rule(ruleId)]).map((rule) => {
      const { disabled, paused } = this.#book.of(rule.id);
      const enabled = rule.config.enabled && !disabled && !allDisabled;
      const dropped = this.#decisions.wouldDrop(rule);
      return { config: rule.config, conditions: rule.conditions, enabled, paused, dropped };
    });
  }

  #factsOf(ruleId: string): Facts {
    return this.#rule(ruleId).facts(this.#book, this.#options.clock.now());
  }

  #rule(ruleId: string): ReadyRule {
    const rule = this.#rules.get(ruleId);
    if (rule === undefined) throw noSuchRule(ruleId);
    return rule;
  }
}

function noSuchRule(ruleId: string): AiwgdError {
  return new AiwgdError('NOT_FOUND', `There is no rule ${ruleId}; aiwgd automation status shows them.`);
}
