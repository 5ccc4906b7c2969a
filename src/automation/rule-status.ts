import type { RuleStatus } from '../protocol/automation.js';
import type { ReadyRule } from './ready-rule.js';
import type { RuleMemory } from './rule-book.js';
import { triggerWords } from './rules/triggers.js';

/** A rule as people and clients see it. */
export function ruleStatus(
  { config }: ReadyRule,
  memory: RuleMemory,
  runs: { running: number; waiting: number },
  eventsWaiting: number,
): RuleStatus {
  const { lastFiredAt, firedCount, paused, disabled } = memory;
  return {
    id: config.id,
    description: config.description,
    trigger: triggerWords(config),
    enabled: config.enabled && !disabled,
    paused,
    lastFiredAt: lastFiredAt === null ? null : new Date(lastFiredAt).toISOString(),
    firedCount,
    running: runs.running,
    waiting: runs.waiting + (eventsWaiting > 0 ? 1 : 0),
  };
}
