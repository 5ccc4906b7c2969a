import picomatch from 'picomatch';
import type { RuleConfig } from '../../protocol/config/config-schema.js';
import type { Trigger } from '../../protocol/config/rule-schema.js';
import type { AiwgEvent } from '../../protocol/event.js';
import { topicMatcher } from '../../protocol/topic.js';
import { Expression } from './expression.js';
import { brief, shown } from './shown-text.js';

/** Only the watcher says what happened to a file, and only the scheduler that a time has come: others cannot feign it. */
export const FILE_SOURCE = 'file_watcher';
export const TIME_SOURCE = 'scheduler';
export const TIME_TOPIC = 'cron.fired';
const FILE_TOPIC = 'file.';

/** A trigger made ready to be matched. */
export interface ReadyTrigger {
  matches(event: AiwgEvent): boolean;
  /** Why the event does not match, or in what it matches: half a sentence. */
  why(event: AiwgEvent): string;
}

/** The job under which the scheduler fires the trigger at this place in the list `triggers` of the rule. */
export function triggerJobId(ruleId: string, index: number): string {
  return `rule:${ruleId}:${index}`;
}

/** The path that a file event is about; undefined for every other event. */
export function watchedPathOf(event: AiwgEvent): string | undefined {
  if (event.source !== FILE_SOURCE || !event.type.startsWith(FILE_TOPIC)) return undefined;
  const path = Object.hasOwn(event.payload, 'path') ? event.payload['path'] : undefined;
  return typeof path === 'string' ? path : undefined;
}

/** The job that a time event is about; undefined for every other event. */
export function firedJobOf(event: AiwgEvent): string | undefined {
  if (event.source !== TIME_SOURCE || event.type !== TIME_TOPIC) return undefined;
  const id = Object.hasOwn(event.payload, 'job_id') ? event.payload['job_id'] : undefined;
  return typeof id === 'string' ? id : undefined;
}

/** @param index Of the trigger in its rule. */
export function readyTrigger(trigger: Trigger, ruleId: string, index: number): ReadyTrigger {
  switch (trigger.type) {
    case 'file_change':
      return fileTrigger(trigger);
    case 'event':
      return topicTrigger(trigger.topic);
    case 'event_type':
      return typeTrigger(trigger);
    case 'schedule':
    default:
      return timeTrigger(trigger.cron, triggerJobId(ruleId, index));
  }
}

function fileTrigger({ pattern, events }: Extract<Trigger, { type: 'file_change' }>): ReadyTrigger {
  // What picomatch's own matcher comes down to, five times as quick; and a newline is a character like any other.
  const { source, flags } = picomatch.makeRe(pattern, { dot: true, posix: true });
  const expression = new RegExp(source, `${flags}s`);
  const fits = (path: string): boolean => path !== '' && (path === pattern || expression.test(path));
  const types = new Set<string>(events.map((kind) => `${FILE_TOPIC}${kind}`));
  return {
    matches: (event) => {
      const path = watchedPathOf(event);
      return path !== undefined && types.has(event.type) && fits(path);
    },
    why: (event) => {
      const path = watchedPathOf(event);
      if (path === undefined) {
        return event.type.startsWith(FILE_TOPIC) && event.source !== FILE_SOURCE
          ? `a change of a file only counts from the source ${FILE_SOURCE}, not from ${brief(event.source)}`
          : `${shown(event.type)} is not a change of a watched file`;
      }
      if (!types.has(event.type))
        return `listens to ${[...types].join(', ')} only, not to ${shown(event.type)}`;
      if (fits(path)) return `${shown(path)} matches ${pattern}`;
      const inFolder = path.startsWith(`${pattern.replace(/\/$/, '')}/`);
      return `the pattern ${pattern} does not match ${shown(path)}${
        inFolder ? `; all that is in the folder is ${pattern.replace(/\/$/, '')}/**` : ''
      }`;
    },
  };
}

function topicTrigger(topic: string): ReadyTrigger {
  const fits = topicMatcher(topic);
  return {
    matches: (event) => fits(event.type),
    why: (event) =>
      fits(event.type)
        ? `${shown(event.type)} matches ${topic}`
        : `the topic ${topic} does not match ${shown(event.type)}`,
  };
}

function typeTrigger(trigger: Extract<Trigger, { type: 'event_type' }>): ReadyTrigger {
  const { event_type: type, source, pattern } = trigger;
  const expression = pattern === null ? undefined : new Expression(pattern);
  return {
    matches: (event) =>
      event.type === type &&
      (source === null || event.source === source) &&
      (expression === undefined || expression.test(`${event.type}:${event.source}`)),
    why: (event) => {
      if (event.type !== type) return `listens to ${type}, not to ${shown(event.type)}`;
      if (source !== null && event.source !== source) {
        return `listens to the source ${shown(source)}, not to ${shown(event.source)}`;
      }
      const text = `${event.type}:${event.source}`;
      const { matches, problem } = expression?.explain(text) ?? { matches: true };
      if (matches) return `${shown(event.type)} is what it listens to`;
      return problem ?? `the pattern ${shown(pattern ?? '')} does not match ${brief(text)}`;
    },
  };
}

function timeTrigger(cron: string, jobId: string): ReadyTrigger {
  return {
    matches: (event) => firedJobOf(event) === jobId,
    why: (event) => {
      const fired = firedJobOf(event);
      if (fired === jobId) return `the time ${cron} has come`;
      if (fired !== undefined) return `the time of ${shown(fired)} has come, not that of ${jobId} (${cron})`;
      return `waits for the time ${cron} (${TIME_TOPIC} of the ${TIME_SOURCE}), not for ${shown(event.type)}`;
    },
  };
}

/** What sets the rule off, in words: `file_change src/**`; several joined by `, or `. */
export function triggerWords(rule: RuleConfig): string {
  return rule.triggers.map(wordsOf).join(', or ');
}

const ALL_FILE_EVENTS = 3;

function wordsOf(trigger: Trigger): string {
  switch (trigger.type) {
    case 'file_change': {
      const kinds = new Set(trigger.events);
      const only = kinds.size === ALL_FILE_EVENTS ? '' : ` (${[...kinds].join(', ')})`;
      return `file_change ${trigger.pattern}${only}`;
    }
    case 'event':
      return `event ${trigger.topic}`;
    case 'event_type': {
      const source = trigger.source === null ? '' : ` of ${trigger.source}`;
      const pattern = trigger.pattern === null ? '' : ` matching ${trigger.pattern}`;
      return `event ${trigger.event_type}${source}${pattern}`;
    }
    case 'schedule':
    default:
      return `schedule ${trigger.cron}${trigger.timezone === null ? '' : ` (${trigger.timezone})`}`;
  }
}

/** Whether the event sets the rule off, and why or why not: half a sentence, for every trigger where none matches. */
export function explainTrigger(rule: RuleConfig, event: AiwgEvent): { matches: boolean; why: string } {
  const reasons: string[] = [];
  for (const [index, trigger] of rule.triggers.entries()) {
    const ready = readyTrigger(trigger, rule.id, index);
    const why = ready.why(event);
    if (ready.matches(event)) return { matches: true, why };
    reasons.push(why);
  }
  const most = 5;
  const rest = reasons.length > most ? `; and ${reasons.length - most} more` : '';
  return { matches: false, why: reasons.slice(0, most).join('; ') + rest };
}
