import { wholeNumber } from '../arguments.js';
import { Option } from '../commander.js';
import { causeOption } from './cause-option.js';
import type { Branch } from './leaf.js';

const letterArgument = ['<id>', 'id of the dead letter, or - for stdin'] as const;

/** Events and dead letters. */
export const branch: Branch = (program, add, addGroup) => {
  const events = addGroup(program, 'events', 'See what happens, and make things happen');
  const dead = addGroup(events, 'dead', 'Events that could not be handled');
  add(events, {
    name: 'tail',
    summary: 'Print the newest events',
    options: [
      new Option('-f, --follow', 'go on with events as they come'),
      new Option('--topic <glob>', 'only these: * matches within a segment, ** across them'),
      new Option('--limit <n>', 'how many of those that were (default: 50)').argParser(wholeNumber(0, 1_000)),
    ],
    examples: [
      ['aiwgd events tail', ''],
      ["aiwgd events tail --follow --topic 'task:*'", 'tasks as they come and go'],
    ],
    load: () => import('../commands/events-tail.js'),
  });
  add(events, {
    name: 'emit',
    summary: 'Publish an event',
    args: [
      ['<topic>', 'its type, such as build.failed'],
      ['[payload]', 'a JSON object, or - for stdin'],
    ],
    options: [causeOption],
    examples: [
      ['aiwgd events emit build.failed \'{"branch": "main"}\'', ''],
      ['aiwgd events emit build.failed - < build.json', ''],
    ],
    load: () => import('../commands/events-emit.js'),
  });
  add(dead, {
    name: 'list',
    summary: 'List events that a subscriber could not handle',
    examples: [['aiwgd events dead list', '']],
    load: () => import('../commands/events-dead-list.js'),
  });
  add(dead, {
    name: 'retry',
    summary: 'Deliver a dead letter once more',
    args: [letterArgument],
    examples: [['aiwgd events dead retry ID', '']],
    load: () => import('../commands/events-dead-retry.js'),
  });
  add(dead, {
    name: 'drop',
    summary: 'Forget a dead letter',
    args: [letterArgument],
    examples: [['aiwgd events dead drop ID', '']],
    load: () => import('../commands/events-dead-drop.js'),
  });
};
