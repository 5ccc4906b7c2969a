import type { AiwgEvent } from '../protocol/event.js';
import type { ReadyRule } from './ready-rule.js';
import { explainTrigger } from './rules/triggers.js';

/** Why a rule has no trace: in words. `waiting` counts the events that it is yet to judge. */
export function whyUnseen(rule: ReadyRule, waiting: number, newest: AiwgEvent | undefined): string {
  if (waiting > 0) return `Events that have triggered it wait for the command of a condition: ${waiting}.`;
  if (newest === undefined) return 'There has been no event yet.';
  const { matches, why } = explainTrigger(rule.config, newest);
  return matches
    ? `The newest event, ${newest.type}, came before the rule, or is being judged: ${why}.`
    : `No event has triggered it. The newest event, ${newest.type}: ${why}.`;
}
