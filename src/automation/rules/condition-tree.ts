import type { Condition } from '../../protocol/config/rule-schema.js';
import { messageOf } from '../../protocol/errors.js';
import type { AiwgEvent } from '../../protocol/event.js';
import { fieldCondition } from './field-condition.js';
import { brief } from './shown-text.js';
import { timeCondition } from './time-condition.js';

/** `open`: only the quiet to come, or a command, can tell. */
export type Truth = 'true' | 'false' | 'open';

export type ShellCondition = Extract<Condition, { type: 'shell' }>;

/** What conditions need to know beside the event. */
export interface Facts {
  /** Wall time in milliseconds since 1970. */
  now: number;
  /** Time zone of conditions that name none; absent: that of the process. */
  hostTimezone?: string;
  /** When the throttle with this key lets the next one through, in the time of `now`; null: at once. */
  throttledUntil: (key: string) => number | null;
}

/** A condition that event and facts decide. Neither function throws. */
export interface Leaf {
  kind: 'leaf';
  words: string;
  judge(event: AiwgEvent, facts: Facts): Truth;
  /** What was found, as half a sentence: the reason for either answer. */
  why(event: AiwgEvent, facts: Facts): string;
}

/** A condition that is open until it has been quiet for so long. */
interface DebounceNode {
  kind: 'debounce';
  words: string;
  intervalMs: number;
}

/** A condition that is open until its command has answered. */
export interface ShellNode {
  kind: 'shell';
  words: string;
  condition: ShellCondition;
}

export interface Join {
  kind: 'all' | 'any' | 'not';
  words: string;
  parts: ConditionNode[];
}

export type ConditionNode = Leaf | DebounceNode | ShellNode | Join;

/** A throttle of the conditions, under the key that the facts are asked for. */
export interface Throttle {
  key: string;
  intervalMs: number;
}

/**
 * Makes a condition ready.
 * @param place Indexes that lead to it: with its interval the key of a throttle, the same after a restart.
 */
export function readyCondition(condition: Condition, place: string): ConditionNode {
  switch (condition.type) {
    case 'always':
      return { kind: 'leaf', words: 'always', judge: () => 'true', why: () => 'it always is' };
    case 'field':
      return unfailing(fieldCondition(condition));
    case 'time':
      return unfailing(timeCondition(condition));
    case 'throttle':
      return throttleCondition(throttleAt(condition.interval_ms, place));
    case 'debounce': {
      const { interval_ms: intervalMs } = condition;
      return { kind: 'debounce', words: `debounce ${intervalMs} ms`, intervalMs };
    }
    case 'shell':
      return { kind: 'shell', words: `command ${condition.command.map(brief).join(' ')}`, condition };
    case 'all':
    case 'any':
    case 'not':
    default: {
      const parts = condition.conditions.map((part, index) => readyCondition(part, `${place}.${index}`));
      return { kind: condition.type, words: `${condition.type} of ${parts.length}`, parts };
    }
  }
}

function throttleAt(intervalMs: number, place: string): Throttle {
  return { key: `throttle:${place}:${intervalMs}`, intervalMs };
}

/** All throttles in the condition. */
export function throttlesIn(condition: Condition, place: string): Throttle[] {
  if (condition.type === 'throttle') return [throttleAt(condition.interval_ms, place)];
  if (!('conditions' in condition)) return [];
  return condition.conditions.flatMap((part, index) => throttlesIn(part, `${place}.${index}`));
}

/** All nodes of the tree, a join before its parts. */
export function nodesIn(node: ConditionNode): ConditionNode[] {
  return 'parts' in node ? [node, ...node.parts.flatMap(nodesIn)] : [node];
}

function throttleCondition({ key, intervalMs }: Throttle): Leaf {
  /** A moment, not what is left: the reason stays the same from one event to the next, so traces can count them as one. */
  const closedUntil = (facts: Facts): number | undefined => {
    const until = facts.throttledUntil(key);
    return until !== null && until > facts.now ? until : undefined;
  };
  return unfailing({
    kind: 'leaf',
    words: `throttle ${intervalMs} ms`,
    judge: (_event, facts) => (closedUntil(facts) === undefined ? 'true' : 'false'),
    why: (_event, facts) => {
      const until = closedUntil(facts);
      return until === undefined
        ? 'none has come through lately'
        : `it has let one through; the next may come at ${new Date(until).toISOString()}`;
    },
  });
}

/** The leaf with its failures turned into a no, with the reason. */
function unfailing(leaf: Leaf): Leaf {
  return {
    ...leaf,
    judge: (event, facts) => {
      try {
        return leaf.judge(event, facts);
      } catch {
        // `why` fails in the same way, and tells.
        return 'false';
      }
    },
    why: (event, facts) => {
      try {
        return leaf.why(event, facts);
      } catch (error) {
        return `it cannot be told: ${messageOf(error)}`;
      }
    },
  };
}

/** What is taken for granted about conditions that event and facts do not decide. */
export interface Assumed {
  /** Whether the quiet has been. */
  quiet: boolean;
  /** What commands have answered; undefined: not asked yet. */
  answer(node: ShellNode): boolean | undefined;
}

/** Nothing: debounces and commands are open. */
export const NOTHING_ASSUMED: Assumed = { quiet: false, answer: () => undefined };

/** Kleene's logic: what is open leaves the whole open only where it matters. */
export function truthOf(node: ConditionNode, event: AiwgEvent, facts: Facts, assumed: Assumed): Truth {
  switch (node.kind) {
    case 'leaf':
      return node.judge(event, facts);
    case 'debounce':
      return assumed.quiet ? 'true' : 'open';
    case 'shell': {
      const answer = assumed.answer(node);
      if (answer === undefined) return 'open';
      return answer ? 'true' : 'false';
    }
    case 'all':
      return joined(node.parts, 'false', event, facts, assumed);
    case 'any':
      return joined(node.parts, 'true', event, facts, assumed);
    case 'not':
    default:
      return opposite(joined(node.parts, 'true', event, facts, assumed));
  }
}

/** One part that is `decisive` decides; else one that is open leaves it open. */
function joined(
  parts: readonly ConditionNode[],
  decisive: 'true' | 'false',
  event: AiwgEvent,
  facts: Facts,
  assumed: Assumed,
): Truth {
  let outcome: Truth = decisive === 'true' ? 'false' : 'true';
  for (const part of parts) {
    const truth = truthOf(part, event, facts, assumed);
    if (truth === decisive) return decisive;
    if (truth === 'open') outcome = 'open';
  }
  return outcome;
}

function opposite(truth: Truth): Truth {
  if (truth === 'open') return 'open';
  return truth === 'true' ? 'false' : 'true';
}
