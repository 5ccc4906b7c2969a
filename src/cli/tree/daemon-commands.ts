import { secondsArgument, wholeNumber } from '../arguments.js';
import { type CommandNode, Option } from '../commander.js';
import type { AddLeaf, Branch } from './leaf.js';

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];

const graceOption = new Option(
  '--timeout <seconds>',
  'let running agents finish for this long (default: the configured grace)',
).argParser(secondsArgument);
const configOption = new Option('--config <file>', 'use this configuration, not .aiwg/daemon.json');

/** The daemon's own life: start, stop, status, log. */
export const branch: Branch = (program, add) => {
  addLifecycle(program, add);
  addInspection(program, add);
};

function addLifecycle(program: CommandNode, add: AddLeaf): void {
  add(program, {
    name: 'start',
    summary: 'Start the daemon of this project',
    details:
      'Returns when the daemon answers, or says why it does not. A folder without .aiwg/ becomes a project, with a default configuration.',
    options: [new Option('--foreground', 'stay in the foreground, for systemd and containers'), configOption],
    examples: [
      ['aiwgd start', 'in the background'],
      ['aiwgd start --foreground', 'as a service or as pid 1 of a container'],
    ],
    load: () => import('../commands/start.js'),
  });
  add(program, {
    name: 'stop',
    summary: 'Stop the daemon and wait until it is gone',
    details:
      'Running agents get time to finish; what is cut off, and all that is queued, goes on at the next start. Agents that a killed or crashed daemon left at work are ended too.',
    options: [graceOption, new Option('--force', 'do not wait for agents; kill what does not go')],
    examples: [
      ['aiwgd stop', ''],
      ['aiwgd stop --timeout 60', 'agents may take a minute to finish'],
      ['aiwgd stop --force', 'at once'],
    ],
    load: () => import('../commands/stop.js'),
  });
  add(program, {
    name: 'restart',
    summary: 'Replace the daemon (or start one); running agents are left alone',
    details:
      'Agents work on meanwhile, and their output goes on being recorded; the new daemon takes them over. To end them, use stop and start.',
    options: [configOption],
    examples: [['aiwgd restart', '']],
    load: () => import('../commands/restart.js'),
  });
  add(program, {
    name: 'reload',
    summary: 'Read the configuration again',
    details: 'A file with errors is refused with all of them, and the configuration in force stays.',
    examples: [['aiwgd reload', '']],
    load: () => import('../commands/reload.js'),
  });
}

function addInspection(program: CommandNode, add: AddLeaf): void {
  add(program, {
    name: 'doctor',
    summary: 'Look at everything that the daemon stands on',
    details:
      'Configuration, files, the programs and versions of agents, variables, disk, watches, clock; each problem with its remedy. Ends with 1 where something has failed.',
    examples: [['aiwgd doctor', '']],
    load: () => import('../commands/doctor.js'),
  });
  add(program, {
    name: 'status',
    summary: 'Show the state of the daemon and of each subsystem',
    options: [new Option('--watch', 'show it anew each second')],
    examples: [
      ['aiwgd status', ''],
      ['aiwgd status --json', 'for programs'],
    ],
    load: () => import('../commands/status.js'),
  });
  add(program, {
    name: 'ping',
    summary: 'Ask the daemon for a sign of life',
    examples: [['aiwgd ping', '']],
    load: () => import('../commands/ping.js'),
  });
  add(program, {
    name: 'logs',
    summary: "Show the daemon's log",
    details: 'Works without a daemon, reaches back into rotated files, and follows across rotations.',
    options: [
      new Option('-n, --lines <n>', 'how many of the newest lines (default: 50)').argParser(
        wholeNumber(0, 10_000_000),
      ),
      new Option('-f, --follow', 'go on with new lines as they come'),
      new Option('--level <level>', 'only lines of this level and above').choices(LOG_LEVELS),
      new Option('--since <time>', 'only lines since then: 10m, 2h, 2026-11-22T08:00'),
    ],
    examples: [
      ['aiwgd logs', 'the last 50 lines'],
      ['aiwgd logs --lines 100', ''],
      ['aiwgd logs --follow --level warn', 'problems as they come'],
      ['aiwgd logs --since 2h', ''],
    ],
    load: () => import('../commands/logs.js'),
  });
}
