import type { Log } from '../../platform/log.js';
import type { NewEvent } from '../../protocol/event.js';
import type { PausedProvider } from '../../protocol/status.js';
import type { Agent } from '../agent-catalogue.js';
import type { BudgetNotice, ToldNotice } from '../money/budget.js';
import type { Publish } from '../task-events.js';
import { pauseKey, type SavedPause } from './provider-pauses.js';

/** What the event of a notice says of it; undefined for an event of another form. */
export function noticeIn({ type, payload }: Pick<NewEvent, 'type' | 'payload'>): ToldNotice | undefined {
  const { ruleId = null, limitUsd, until } = payload;
  const kind = (['warning', 'exhausted'] as const).find((one) => type === `budget.${one}`);
  if (kind === undefined || typeof limitUsd !== 'number' || typeof until !== 'string') return undefined;
  if (ruleId !== null && typeof ruleId !== 'string') return undefined;
  return { kind, ruleId, limitUsd, until: Date.parse(until) };
}

/** Tells of providers that pause, and of budgets that run out. */
export class LimitEvents {
  readonly #publish: Publish;
  readonly #log: Log;
  readonly #agents: () => Iterable<Agent>;

  constructor(publish: Publish, log: Log, agents: () => Iterable<Agent>) {
    this.#publish = publish;
    this.#log = log;
    this.#agents = agents;
  }

  /** A pause in words that clients understand. */
  describe({ key, reason, until }: SavedPause): PausedProvider {
    return { ...this.#ofKey(key), until: new Date(until).toISOString(), reason };
  }

  paused(pause: SavedPause): void {
    const payload = { ...this.describe(pause) };
    this.#log.warn(payload, 'A provider has met its limit: its agents pause');
    this.#publish({ type: 'agent.rate_limited', source: 'supervisor', payload });
  }

  available(key: string): void {
    const payload = this.#ofKey(key);
    this.#log.info(payload, 'The provider goes on');
    this.#publish({ type: 'agent.available', source: 'supervisor', payload });
  }

  budget(notice: BudgetNotice): void {
    const { kind, scope, ruleId, until, ...usd } = notice;
    const payload = {
      scope,
      ...(ruleId === null ? {} : { ruleId }),
      ...usd,
      until: new Date(until).toISOString(),
    };
    const text = kind === 'warning' ? 'Most of a budget is spent' : 'A budget is used up: tasks wait';
    this.#log.warn(payload, text);
    this.#publish({ type: `budget.${kind}`, source: 'supervisor', payload });
  }

  #ofKey(key: string): Pick<PausedProvider, 'provider' | 'program' | 'agents'> {
    const space = key.indexOf(' ');
    const agents = [...this.#agents()]
      .filter(({ config }) => pauseKey(config) === key)
      .map(({ name }) => name);
    return { provider: key.slice(0, space), program: key.slice(space + 1), agents };
  }
}
