import type { Facts } from '#aiwgd/automation/rules/conditions.js';
import type { RuleConfig } from '#aiwgd/protocol/config/config-schema.js';
import { parseConfig } from '#aiwgd/protocol/config/read-config.js';
import type { Condition } from '#aiwgd/protocol/config/rule-schema.js';
import type { AiwgEvent } from '#aiwgd/protocol/event.js';

/** 2026-07-01 was a Wednesday. */
export const NOON = Date.parse('2026-07-01T12:00:00.000Z');

/** Rules as the configuration yields them. */
export function rulesOf(...rules: object[]): RuleConfig[] {
  const full = rules.map((rule, index) => ({ id: `r${index}`, action: { type: 'gate' }, ...rule }));
  const parsed = parseConfig(JSON.stringify({ rules: full }), 'daemon.json');
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.config.rules;
}

export function conditionsOf(...conditions: object[]): readonly Condition[] {
  return rulesOf({ trigger: { type: 'event', topic: '*' }, conditions })[0]!.conditions;
}

let made = 0;

export function eventOf(type: string, payload: Record<string, unknown> = {}, source = 'rpc'): AiwgEvent {
  made += 1;
  return { id: `e${made}`, type, source, timestamp: new Date(NOON).toISOString(), payload };
}

export function fileEvent(kind: 'create' | 'modify' | 'delete', path: string): AiwgEvent {
  return eventOf(`file.${kind}`, { path }, 'file_watcher');
}

export function factsAt(now: number, more: Partial<Facts> = {}): Facts {
  return { now, hostTimezone: 'UTC', throttledUntil: () => null, ...more };
}
