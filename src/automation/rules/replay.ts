import type { RuleVerdict } from '../../protocol/automation.js';
import type { AiwgEvent } from '../../protocol/event.js';
import type { Facts } from './conditions.js';
import { ifCommandsSayYes, type TriedRule, whyHeld } from './dry-run.js';
import { RuleIndex } from './rule-index.js';
import { explainTrigger } from './triggers.js';

const HOUR_MS = 3_600_000;

export interface ReplayOptions {
  /** Time zone of conditions that name none; absent: that of the process. */
  hostTimezone?: string;
}

/**
 * When each rule would have fired over these events, in their own time: debounces gather, throttles and cooldowns hold
 * back, and a rule that fires too often pauses itself. Runs take no time and commands say yes: how long an action lasts, and
 * what a command would have said then, nobody can tell now.
 */
export function replay(
  rules: readonly TriedRule[],
  events: readonly AiwgEvent[],
  { hostTimezone }: ReplayOptions = {},
): RuleVerdict[] {
  const timed = events
    .map((event) => ({ event, at: Date.parse(event.timestamp) }))
    .filter(({ at }) => Number.isFinite(at))
    .toSorted((a, b) => a.at - b.at);
  const replayed = new Map(rules.map((rule) => [rule.config.id, new ReplayedRule(rule, hostTimezone)]));
  const index = new RuleIndex(rules.map(({ config }) => config));
  for (const { event, at } of timed) {
    for (const { id } of index.candidates(event)) replayed.get(id)?.take(event, at);
  }
  const newest = timed.at(-1)?.event;
  return rules
    .map(({ config: { id } }) => replayed.get(id)?.verdict(newest))
    .filter((one) => one !== undefined);
}

/** One rule on its way through the history. */
class ReplayedRule {
  readonly #rule: TriedRule;
  readonly #hostTimezone: string | undefined;
  readonly #throttledUntil = new Map<string, number>();
  readonly #times: number[] = [];
  #waiting: { event: AiwgEvent; until: number } | undefined;
  #pausedAt: number | undefined;
  #commands = '';
  #refusal: string | undefined;
  #count = { triggered: 0, merged: 0, refused: 0, resting: 0, paused: 0 };

  constructor(rule: TriedRule, hostTimezone: string | undefined) {
    this.#rule = rule;
    this.#hostTimezone = hostTimezone;
  }

  take(event: AiwgEvent, at: number): void {
    this.#endQuiet(at);
    this.#count.triggered += 1;
    const { conditions } = this.#rule;
    const facts = this.#factsAt(at);
    if (conditions.now(event, facts) === 'false') {
      this.#refuse(event, facts);
      return;
    }
    const wait = conditions.waitMs(event, facts);
    if (wait === 0) {
      this.#settle(event, at);
      return;
    }
    if (this.#waiting !== undefined) this.#count.merged += 1;
    this.#waiting = { event, until: at + wait };
  }

  /** @param newest The newest event of all, for the reason where none triggered the rule. */
  verdict(newest: AiwgEvent | undefined): RuleVerdict {
    const ruleId = this.#rule.config.id;
    this.#endQuiet(Number.POSITIVE_INFINITY);
    const held = whyHeld(this.#rule);
    if (this.#count.triggered === 0) {
      const why =
        newest === undefined ? 'there are no events' : explainTrigger(this.#rule.config, newest).why;
      return { ruleId, fires: false, why: `No event matches the trigger; of the newest: ${why}.`, times: [] };
    }
    if (held !== undefined) return { ruleId, fires: false, why: held, times: [] };
    const times = this.#times.map((at) => new Date(at).toISOString());
    return { ruleId, fires: times.length > 0, why: this.#why(), times };
  }

  #factsAt(now: number): Facts {
    const throttledUntil = (key: string): number | null => this.#throttledUntil.get(key) ?? null;
    return this.#hostTimezone === undefined
      ? { now, throttledUntil }
      : { now, throttledUntil, hostTimezone: this.#hostTimezone };
  }

  /** What has been quiet for long enough by `at` is decided, at the moment when it had been. */
  #endQuiet(at: number): void {
    const waiting = this.#waiting;
    if (waiting === undefined || waiting.until > at) return;
    this.#waiting = undefined;
    this.#settle(waiting.event, waiting.until);
  }

  #settle(event: AiwgEvent, at: number): void {
    const { config, conditions } = this.#rule;
    const facts = this.#factsAt(at);
    if (conditions.afterQuiet(event, facts) === 'false') {
      this.#refuse(event, facts);
      return;
    }
    const last = this.#times.at(-1);
    if (this.#pausedAt !== undefined) {
      this.#count.paused += 1;
    } else if (last !== undefined && at < last + config.cooldown_ms) {
      this.#count.resting += 1;
    } else if (this.#firedSince(at - HOUR_MS) >= config.max_per_hour) {
      this.#pausedAt = at;
      this.#count.paused += 1;
    } else {
      this.#commands = ifCommandsSayYes(conditions.commandsToAsk(event, facts));
      this.#times.push(at);
      for (const { key, intervalMs } of conditions.throttles) this.#throttledUntil.set(key, at + intervalMs);
    }
  }

  #refuse(event: AiwgEvent, facts: Facts): void {
    this.#count.refused += 1;
    this.#refusal = this.#rule.conditions.refusal(event, facts);
  }

  #firedSince(since: number): number {
    const most = this.#rule.config.max_per_hour;
    return this.#times.slice(-most).filter((at) => at > since).length;
  }

  #why(): string {
    const { triggered, merged, refused, resting, paused } = this.#count;
    const fired = this.#times.length;
    const parts = [
      merged > 0 ? `${merged} gathered by debounce` : '',
      refused > 0 ? `${refused} stopped by conditions` : '',
      resting > 0 ? `${resting} dropped in the cooldown` : '',
      paused > 0 ? `${paused} held because it had paused itself` : '',
    ].filter((part) => part !== '');
    const rest = parts.length > 0 ? ` (${parts.join(', ')})` : '';
    const last = this.#refusal === undefined ? '' : ` Last, ${this.#refusal}.`;
    const pause =
      this.#pausedAt === undefined
        ? ''
        : ` It pauses itself at ${new Date(this.#pausedAt).toISOString()}: more than ${this.#rule.config.max_per_hour} in an hour.`;
    return `It fires ${inWords(fired)} at ${triggered} matching ${triggered === 1 ? 'event' : 'events'}${rest}${
      fired > 0 ? this.#commands : ''
    }.${last}${pause}`;
  }
}

function inWords(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}
