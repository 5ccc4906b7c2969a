import type { ConditionReport } from '../protocol/automation.js';
import type { RuleConfig } from '../protocol/config/config-schema.js';
import type { RuleBook } from './rule-book.js';
import { Conditions, type Facts } from './rules/conditions.js';
import type { Step } from './runs/run-records.js';

/** A rule of the configuration, ready for use. */
export class ReadyRule {
  readonly config: RuleConfig;
  readonly conditions: Conditions;
  readonly #intervals: Map<string, number>;

  constructor(config: RuleConfig) {
    this.config = config;
    this.conditions = new Conditions(config.conditions);
    this.#intervals = new Map(this.conditions.throttles.map(({ key, intervalMs }) => [key, intervalMs]));
  }

  get id(): string {
    return this.config.id;
  }

  get owner(): string {
    return `rule:${this.config.id}`;
  }

  /** What a run of it does: where the rule requires an approval, that stands before everything. */
  steps(): Step[] {
    const { actions, requires_approval: asks } = this.config;
    const gate: Step = { type: 'gate', summary: null, expire_minutes: null, whole: true };
    return asks ? [gate, ...actions] : [...actions];
  }

  facts(book: RuleBook, now: number): Facts {
    const { throttles } = book.of(this.id);
    return {
      now,
      throttledUntil: (key) => {
        const at = throttles[key];
        // A time that lies ahead stems from a clock that was wrong.
        return at === undefined || at > now ? null : at + (this.#intervals.get(key) ?? 0);
      },
    };
  }

  /** Why the rule may not fire again yet; undefined where it may. */
  resting(book: RuleBook, now: number): string | undefined {
    const { lastFiredAt, lastEndedAt } = book.of(this.id);
    const since = Math.max(lastFiredAt ?? 0, lastEndedAt ?? 0);
    const until = since + this.config.cooldown_ms;
    if (until <= now || since > now) return undefined;
    // A moment, not what is left, so that traces count events with this reason as one.
    return `its cooldown lasts until ${new Date(until).toISOString()}`;
  }
}

/** Which condition said no, in a sentence. */
export function whyNot(reports: readonly ConditionReport[]): string {
  const no = reports.find(({ result }) => result === 'false');
  return no === undefined ? 'the conditions do not hold' : `${no.condition}: ${no.why}`;
}
