import { GATE_STATES } from '../../protocol/automation.js';
import { wholeNumber } from '../arguments.js';
import { type CommandNode, Option } from '../commander.js';
import type { AddLeaf, Branch } from './leaf.js';

const ruleOption = (meaning: string) => new Option('--rule <id>', meaning);
const gateArgument = ['<id>', 'id of the gate, such as gate-0001, or - for stdin'] as const;

/** Rules, and the questions that they put to people. */
export const branch: Branch = (program, add, addGroup) => {
  const automation = addGroup(
    program,
    'automation',
    'See what rules do, try them out, switch them on and off',
  );
  addSwitches(automation, add);
  addQuestions(automation, add);
  addGates(addGroup(program, 'gate', 'Answer what waits for a yes or no'), add);
};

function addSwitches(automation: CommandNode, add: AddLeaf): void {
  add(automation, {
    name: 'status',
    summary: 'Show the rules and their newest runs',
    examples: [['aiwgd automation status', '']],
    load: () => import('../commands/automation-status.js'),
  });
  add(automation, {
    name: 'enable',
    summary: 'Let a rule go on that was disabled or has paused itself; without --rule, all of automation',
    options: [ruleOption('only this rule; - reads its id from stdin')],
    examples: [
      ['aiwgd automation enable --rule docs', ''],
      ['aiwgd automation enable', 'after aiwgd automation disable'],
    ],
    load: () => import('../commands/automation-enable.js'),
  });
  add(automation, {
    name: 'disable',
    summary: 'Keep a rule from firing; without --rule, all of them',
    details:
      'Holds until it is enabled again, also after a restart. What runs already goes on; runs that wait for their turn go on waiting.',
    options: [ruleOption('only this rule; - reads its id from stdin')],
    examples: [
      ['aiwgd automation disable --rule docs', ''],
      ['aiwgd automation disable', 'no rule fires any more'],
    ],
    load: () => import('../commands/automation-disable.js'),
  });
}

function addQuestions(automation: CommandNode, add: AddLeaf): void {
  add(automation, {
    name: 'test',
    summary: 'Say which rules would fire on an event, and why not the others',
    details:
      'Nothing is done, and no command of a condition is run. Of the event, all but its type may be left out. With --history, the events that were are tried instead.',
    args: [['[event]', 'a file with the event as JSON, the JSON itself, or - for stdin']],
    options: [
      ruleOption('only this rule'),
      new Option('--history', 'over the events that were'),
      new Option('--since <time>', 'of those, only from then on: 10m, 2h, 2026-11-22T08:00'),
    ],
    examples: [
      ['aiwgd automation test event.json', ''],
      ['aiwgd automation test \'{"type": "file.modify", "payload": {"path": "src/a.ts"}}\'', ''],
      ['aiwgd automation test --history --since 2h --rule docs', 'when would it have fired?'],
    ],
    load: () => import('../commands/automation-test.js'),
  });
  add(automation, {
    name: 'trace',
    summary: 'Say why rules fired, or did not',
    details: 'The newest entries, the newest last.',
    options: [
      ruleOption('only this rule'),
      new Option('--limit <n>', 'how many entries at most (default: 20)').argParser(wholeNumber(1, 1_000)),
    ],
    examples: [
      ['aiwgd automation trace', ''],
      ['aiwgd automation trace --rule docs --limit 5', ''],
    ],
    load: () => import('../commands/automation-trace.js'),
  });
}

function addGates(gate: CommandNode, add: AddLeaf): void {
  add(gate, {
    name: 'list',
    summary: 'Show what waits for an answer, and exactly what will be done after a yes',
    options: [
      new Option('--state <state>', 'those in this state (default: pending)').choices(GATE_STATES),
      new Option('--all', 'those in any state'),
    ],
    examples: [
      ['aiwgd gate list', ''],
      ['aiwgd gate list --all', 'also those that were answered or have expired'],
    ],
    load: () => import('../commands/gate-list.js'),
  });
  add(gate, {
    name: 'approve',
    summary: 'Say yes to exactly what a gate shows',
    args: [gateArgument],
    options: [new Option('--always', "also to what an agent's question offers, for the rest of its task")],
    examples: [
      ['aiwgd gate approve gate-0001', ''],
      [
        'aiwgd gate approve gate-0001 --always',
        'the task asks no more for what the gate names under "always"',
      ],
    ],
    load: () => import('../commands/gate-approve.js'),
  });
  add(gate, {
    name: 'reject',
    summary: 'Say no',
    args: [gateArgument, ['[reason...]', 'why; kept with the answer']],
    examples: [['aiwgd gate reject gate-0001 not on a Friday', '']],
    load: () => import('../commands/gate-reject.js'),
  });
}
