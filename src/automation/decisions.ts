import type { StateDatabase } from '../database/state-database.js';
import type { Clock } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import type { ConditionReport, TraceOutcome } from '../protocol/automation.js';
import type { AiwgEvent } from '../protocol/event.js';
import type { Batch } from './batches.js';
import type { Ancestry } from './lineage.js';
import type { Publish } from './ports.js';
import { type ReadyRule, whyNot } from './ready-rule.js';
import type { RuleBook } from './rule-book.js';
import type { Runs } from './runs/runs.js';
import type { Traces } from './traces.js';

export interface DecisionsOptions {
  db: StateDatabase;
  clock: Clock;
  log: Log;
  publish: Publish;
  book: RuleBook;
  runs: Runs;
  traces: Traces;
}

export type Verdict = { truth: 'true' | 'false'; reports: ConditionReport[] };

/** Whether an event that triggers a rule makes it fire; every answer leaves a trace. */
export class Decisions {
  readonly #options: DecisionsOptions;

  constructor(options: DecisionsOptions) {
    this.#options = options;
  }

  /** Why the rule fires on nothing just now; undefined where it may. */
  held(rule: ReadyRule): string | undefined {
    const off = this.switchedOff(rule);
    if (off !== undefined || !this.#options.book.of(rule.id).paused) return off;
    return `the rule has paused itself, because it fired more than ${rule.config.max_per_hour} times within an hour: aiwgd automation enable --rule ${rule.id}`;
  }

  /** How somebody has switched the rule off; undefined where nobody has. */
  switchedOff({ id, config }: ReadyRule): string | undefined {
    const { book } = this.#options;
    if (!config.enabled) return 'the rule is switched off in the configuration';
    if (book.allDisabled) return 'automation is disabled: aiwgd automation enable';
    return book.of(id).disabled ? `the rule is disabled: aiwgd automation enable --rule ${id}` : undefined;
  }

  /** What can be said at once. Quick where the answer is no. */
  passes(rule: ReadyRule, event: AiwgEvent, { rules, via }: Ancestry): boolean {
    const { book, clock } = this.#options;
    const held = this.held(rule);
    if (held !== undefined) return this.#passOver(rule, event, 'held', held);
    if (!rule.config.allow_self && rules.includes(rule.id)) {
      return this.#passOver(rule, event, 'self', selfWords(event, via));
    }
    const facts = rule.facts(book, clock.now());
    if (rule.conditions.now(event, facts) !== 'false') return true;
    this.#options.traces.note({
      ruleId: rule.id,
      outcome: 'conditions',
      event,
      explain: () => {
        const { reports } = rule.conditions.explain(event, facts);
        return { why: whyNot(reports), conditions: reports };
      },
    });
    return false;
  }

  /** The event waits for quiet; or there is no room for it to wait for the command that judges it. */
  waits(rule: ReadyRule, event: AiwgEvent, { quietMs, room }: { quietMs: number; room: boolean }): void {
    const { traces, db } = this.#options;
    if (room && quietMs === 0) return;
    const why = room
      ? `it waits for ${quietMs} ms of quiet`
      : 'too many events wait for the command of a condition';
    const explain = () => ({ why, conditions: [] });
    const outcome = room ? ('waiting' as const) : ('dropped' as const);
    db.afterCommit(() => traces.note({ ruleId: rule.id, outcome, event, explain }));
  }

  /** A batch has waited, and its commands have been asked; without a verdict the rule was held meanwhile. */
  settled(rule: ReadyRule, batch: Batch, verdict: Verdict | undefined): void {
    const held = this.held(rule);
    if (held !== undefined || verdict === undefined) {
      this.#note(rule, batch, 'held', held ?? 'the rule was held when its time came', []);
    } else if (verdict.truth === 'false') {
      this.#note(rule, batch, 'conditions', whyNot(verdict.reports), verdict.reports);
    } else {
      this.fire(rule, batch, verdict.reports);
    }
  }

  /** Begins a run, unless the rule rests, has fired too often, or its mode says no; answers why not. In a transaction. */
  fire(rule: ReadyRule, batch: Batch, reports: ConditionReport[]): string | undefined {
    const { clock, book, runs, db, log } = this.#options;
    const now = clock.now();
    const refused = rule.resting(book, now) ?? this.#tooOften(rule, batch.event, now);
    if (refused !== undefined) {
      this.#note(rule, batch, 'dropped', refused, reports);
      return refused;
    }
    const { mode, max } = rule.config;
    const { event, files, count } = batch;
    const rules = [...new Set([...batch.rules, rule.id])];
    const offer = runs.offer({
      owner: rule.owner,
      mode,
      max,
      event,
      files,
      count,
      rules,
      steps: rule.steps(),
    });
    if (offer.run === null) {
      this.#note(rule, batch, 'dropped', offer.why, reports);
      return offer.why;
    }
    const keys = rule.conditions.throttles.map(({ key }) => key);
    book.fired(rule.id, now, keys);
    const { id } = offer.run;
    this.#note(rule, batch, 'fired', offer.why, reports, id);
    db.afterCommit(() =>
      log.info({ ruleId: rule.id, run: id, event: event.id, events: count }, 'Rule fired'),
    );
    return undefined;
  }

  /** Why a firing would be dropped just now; for dry runs, which change nothing. */
  wouldDrop(rule: ReadyRule): string | undefined {
    const { clock, book, runs } = this.#options;
    const { mode, max, max_per_hour: most } = rule.config;
    const now = clock.now();
    const fires = book.recentFires(rule.id, now);
    if (fires >= most) return `it fired ${fires} times within an hour, and would pause itself now`;
    return rule.resting(book, now) ?? runs.whyFull(rule.owner, mode, max);
  }

  #tooOften(rule: ReadyRule, event: AiwgEvent, now: number): string | undefined {
    const { book, db, log, publish } = this.#options;
    const { max_per_hour: most } = rule.config;
    const fires = book.recentFires(rule.id, now);
    if (fires < most) return undefined;
    book.change(rule.id, { paused: true });
    db.afterCommit(() => {
      log.warn({ ruleId: rule.id, fires }, 'A rule fired too often and has paused itself');
      publish({
        type: 'rule.paused',
        source: 'automation',
        payload: { ruleId: rule.id, maxPerHour: most, fires },
        cause: event.id,
      });
    });
    return `it fired ${fires} times within an hour, as often as max_per_hour allows: it has paused itself`;
  }

  #passOver(rule: ReadyRule, event: AiwgEvent, outcome: TraceOutcome, why: string): false {
    const explain = () => ({ why, conditions: [] });
    this.#options.traces.note({ ruleId: rule.id, outcome, event, explain });
    return false;
  }

  #note(
    rule: ReadyRule,
    { event, count }: Batch,
    outcome: TraceOutcome,
    why: string,
    conditions: ConditionReport[],
    runId?: string,
  ): void {
    const explain = () => ({ why, conditions });
    const note = {
      ruleId: rule.id,
      outcome,
      event,
      count,
      explain,
      ...(runId === undefined ? {} : { runId }),
    };
    this.#options.db.afterCommit(() => this.#options.traces.note(note));
  }
}

function selfWords(event: AiwgEvent, via: string): string {
  return event.source === 'file_watcher'
    ? `the file changed while ${via} was at work, which this rule brought about: it may be its own edit`
    : `${via === '' ? 'the event' : via} was brought about by this rule itself`;
}
