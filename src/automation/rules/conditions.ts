import type { ConditionReport } from '../../protocol/automation.js';
import type { Condition } from '../../protocol/config/rule-schema.js';
import { messageOf } from '../../protocol/errors.js';
import type { AiwgEvent } from '../../protocol/event.js';
import {
  type Assumed,
  type ConditionNode,
  type Facts,
  type Join,
  NOTHING_ASSUMED,
  nodesIn,
  readyCondition,
  type ShellCondition,
  type ShellNode,
  type Throttle,
  type Truth,
  throttlesIn,
  truthOf,
} from './condition-tree.js';

export type { Facts, ShellCondition, Throttle, Truth } from './condition-tree.js';

/** Runs the command of a condition: yes or no, and why as half a sentence. */
export type AskCommand = (
  condition: ShellCondition,
  event: AiwgEvent,
) => Promise<{ yes: boolean; why: string }>;

/** Conditions of one rule that reports name; of the rest only the outcome counts. */
const MAX_REPORTS = 200;

const AFTER_QUIET: Assumed = { quiet: true, answer: () => undefined };

/**
 * The conditions of a rule, all of which must be true, in three-valued logic: what a debounce or a command leaves `open`
 * only counts where the rest has not decided. Nothing here throws; an evaluation that fails is a no, with the reason.
 */
export class Conditions {
  /**
   * The throttles among them. The caller notes them when the rule fires; `Facts.throttledUntil` is asked with their keys,
   * which are unique in the rule only.
   */
  readonly throttles: readonly Throttle[];
  readonly asksCommands: boolean;
  readonly debounces: boolean;
  readonly #root: Join;

  constructor(conditions: readonly Condition[]) {
    const parts = conditions.map((condition, index) => readyCondition(condition, String(index)));
    this.#root = { kind: 'all', words: 'all', parts };
    const nodes = nodesIn(this.#root);
    this.throttles = conditions.flatMap((condition, index) => throttlesIn(condition, String(index)));
    this.asksCommands = nodes.some(({ kind }) => kind === 'shell');
    this.debounces = nodes.some(({ kind }) => kind === 'debounce');
  }

  /** What can be said at once: debounces and commands are open. Makes no reports, so it is quick. */
  now(event: AiwgEvent, facts: Facts): Truth {
    return truthOf(this.#root, event, facts, NOTHING_ASSUMED);
  }

  /** What can be said when the quiet has been: only commands are open. */
  afterQuiet(event: AiwgEvent, facts: Facts): Truth {
    return truthOf(this.#root, event, facts, AFTER_QUIET);
  }

  /** Longest debounce that the outcome depends on, in milliseconds; 0 where it waits for none. */
  waitMs(event: AiwgEvent, facts: Facts): number {
    return waitOf(this.#root, event, facts);
  }

  /**
   * The outcome after the quiet. Commands are asked in order, one at a time, and only where the outcome depends on them; a
   * command that cannot be asked says no.
   */
  async settled(
    event: AiwgEvent,
    facts: Facts,
    ask: AskCommand,
  ): Promise<{ truth: 'true' | 'false'; reports: ConditionReport[] }> {
    const answers = new Map<ShellNode, { yes: boolean; why: string }>();
    const assumed: Assumed = { quiet: true, answer: (node) => answers.get(node)?.yes };
    const settle = async (node: ConditionNode): Promise<void> => {
      if (truthOf(node, event, facts, assumed) !== 'open') return;
      if (node.kind === 'shell') {
        answers.set(node, await answerOf(ask, node.condition, event));
      } else if ('parts' in node) {
        for (const part of node.parts) {
          await settle(part);
          if (truthOf(node, event, facts, assumed) !== 'open') return;
        }
      }
    };
    await settle(this.#root);
    const truth = truthOf(this.#root, event, facts, assumed) === 'true' ? 'true' : 'false';
    const reporter = new Reporter(event, facts, assumed, (node) => answers.get(node)?.why);
    return { truth, reports: reporter.reportsOf(this.#root.parts) };
  }

  /** What can be said at once and why, for traces and dry runs; asks nobody. */
  explain(event: AiwgEvent, facts: Facts): { truth: Truth; reports: ConditionReport[] } {
    const reporter = new Reporter(event, facts, NOTHING_ASSUMED, () => undefined);
    return { truth: this.now(event, facts), reports: reporter.reportsOf(this.#root.parts) };
  }

  /** The condition that says no, also once it has been quiet, and why: half a sentence. Undefined where none does. */
  refusal(event: AiwgEvent, facts: Facts): string | undefined {
    const no = this.#root.parts.find((part) => truthOf(part, event, facts, AFTER_QUIET) === 'false');
    if (no === undefined) return undefined;
    const [report, ...parts] = new Reporter(event, facts, AFTER_QUIET, () => undefined).reportsOf([no]);
    const most = 3;
    const told = parts
      .slice(0, most)
      .map(({ condition, result, why }) => `${condition} is ${result}: ${why}`);
    const rest = parts.length > most ? '; …' : '';
    return `the condition "${no.words}" says no: ${report?.why}${parts.length > 0 ? ` (${told.join('; ')}${rest})` : ''}`;
  }

  /** The commands that the outcome depends on once it has been quiet, in the order in which they are asked. */
  commandsToAsk(event: AiwgEvent, facts: Facts): readonly ShellCondition[] {
    const commands: ShellCondition[] = [];
    const visit = (node: ConditionNode): void => {
      if (truthOf(node, event, facts, AFTER_QUIET) !== 'open') return;
      if (node.kind === 'shell') commands.push(node.condition);
      if ('parts' in node) node.parts.forEach(visit);
    };
    visit(this.#root);
    return commands;
  }
}

function waitOf(node: ConditionNode, event: AiwgEvent, facts: Facts): number {
  if (node.kind === 'debounce') return node.intervalMs;
  if (!('parts' in node) || truthOf(node, event, facts, NOTHING_ASSUMED) !== 'open') return 0;
  return node.parts.reduce((longest, part) => Math.max(longest, waitOf(part, event, facts)), 0);
}

async function answerOf(
  ask: AskCommand,
  condition: ShellCondition,
  event: AiwgEvent,
): Promise<{ yes: boolean; why: string }> {
  try {
    return await ask(condition, event);
  } catch (error) {
    return { yes: false, why: `the command could not be asked: ${messageOf(error)}` };
  }
}

/** Says of each condition what it came to; of one in a join also in which. */
class Reporter {
  readonly #event: AiwgEvent;
  readonly #facts: Facts;
  readonly #assumed: Assumed;
  readonly #commandSaid: (node: ShellNode) => string | undefined;
  readonly #reports: ConditionReport[] = [];

  constructor(
    event: AiwgEvent,
    facts: Facts,
    assumed: Assumed,
    commandSaid: (node: ShellNode) => string | undefined,
  ) {
    this.#event = event;
    this.#facts = facts;
    this.#assumed = assumed;
    this.#commandSaid = commandSaid;
  }

  reportsOf(nodes: readonly ConditionNode[]): ConditionReport[] {
    for (const node of nodes) this.#add(node, '');
    return this.#reports;
  }

  #add(node: ConditionNode, within: string): void {
    if (this.#reports.length >= MAX_REPORTS) return;
    const condition = `${within}${node.words}`;
    const truth = truthOf(node, this.#event, this.#facts, this.#assumed);
    // After the quiet only a command that nobody needed to ask is still open.
    const result = truth === 'open' && this.#assumed.quiet ? 'skipped' : truth;
    this.#reports.push({ condition, result, why: this.#whyOf(node, result) });
    if ('parts' in node) for (const part of node.parts) this.#add(part, `${within}${node.kind}: `);
  }

  #whyOf(node: ConditionNode, result: ConditionReport['result']): string {
    if (result === 'skipped') return 'other conditions had decided';
    switch (node.kind) {
      case 'leaf':
        return node.why(this.#event, this.#facts);
      case 'debounce':
        return result === 'true' ? 'it has been quiet' : `waits for ${node.intervalMs} ms of quiet`;
      case 'shell':
        return this.#commandSaid(node) ?? 'the command has not been asked';
      case 'all':
      case 'any':
      case 'not':
      default:
        return this.#countOf(node);
    }
  }

  #countOf({ parts }: Join): string {
    const count = { true: 0, false: 0, open: 0 };
    for (const part of parts) count[truthOf(part, this.#event, this.#facts, this.#assumed)] += 1;
    return `${count.true} true, ${count.false} false, ${count.open} open`;
  }
}
