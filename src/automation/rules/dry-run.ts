import type { RuleVerdict } from '../../protocol/automation.js';
import type { RuleConfig } from '../../protocol/config/config-schema.js';
import type { AiwgEvent } from '../../protocol/event.js';
import type { Conditions, Facts, ShellCondition } from './conditions.js';
import { shown } from './shown-text.js';
import { explainTrigger } from './triggers.js';

/** A rule as a dry run looks at it. */
export interface TriedRule {
  config: RuleConfig;
  conditions: Conditions;
  /** As it is now: a person may have switched it since the configuration was read. */
  enabled: boolean;
  paused: boolean;
  /** Why a firing would be dropped just now: a cooldown, `max_per_hour`, runs at work. */
  dropped?: string | undefined;
}

/**
 * Whether each rule would fire at this event, and why, in a sentence. Nothing is done and no command is asked: a rule that
 * depends on one fires "if it says yes".
 * @param factsOf The facts for the conditions of one rule; throttles have their keys in the rule only.
 */
export function dryRun(
  rules: readonly TriedRule[],
  event: AiwgEvent,
  factsOf: (ruleId: string) => Facts,
): RuleVerdict[] {
  return rules.map((rule) => ({
    ruleId: rule.config.id,
    ...verdictOf(rule, event, factsOf(rule.config.id)),
  }));
}

function verdictOf(rule: TriedRule, event: AiwgEvent, facts: Facts): { fires: boolean; why: string } {
  const trigger = explainTrigger(rule.config, event);
  if (!trigger.matches) return { fires: false, why: `The trigger does not match: ${trigger.why}.` };
  const held = whyHeld(rule);
  if (held !== undefined) return { fires: false, why: held };
  const refusal = rule.conditions.refusal(event, facts);
  if (refusal !== undefined) {
    return { fires: false, why: `The trigger matches (${trigger.why}), but ${refusal}.` };
  }
  if (rule.dropped !== undefined) {
    return { fires: false, why: `The trigger matches (${trigger.why}), but ${rule.dropped}.` };
  }
  return {
    fires: true,
    why: `The trigger matches: ${trigger.why}. It fires${provisosOf(rule, event, facts)}.`,
  };
}

/** Why a rule is not looked at; undefined for one that is. */
export function whyHeld({ enabled, paused }: Pick<TriedRule, 'enabled' | 'paused'>): string | undefined {
  if (!enabled) return 'The trigger matches, but the rule is disabled.';
  if (paused) return 'The trigger matches, but the rule has paused itself; enabling it lets it go on.';
  return undefined;
}

function provisosOf({ config, conditions }: TriedRule, event: AiwgEvent, facts: Facts): string {
  const wait = conditions.waitMs(event, facts);
  const quiet = wait > 0 ? ` after ${wait} ms of quiet` : ' at once';
  const agreed = config.requires_approval ? ', when a person agrees' : '';
  return `${quiet}${ifCommandsSayYes(conditions.commandsToAsk(event, facts))}${agreed}`;
}

/** `, if ... says yes`; nothing where no command is asked. */
export function ifCommandsSayYes(commands: readonly ShellCondition[]): string {
  if (commands.length === 0) return '';
  const named = commands.map(({ command }) => `\`${shown(command.join(' '))}\``);
  return named.length === 1 ? `, if ${named[0]} says yes` : `, as ${named.join(' and ')} answer`;
}
