import { wholeNumber } from '../arguments.js';
import { Option } from '../commander.js';
import type { Branch } from './leaf.js';

/** Jobs, and cron expressions. */
export const branch: Branch = (program, add, addGroup) => {
  const schedule = addGroup(program, 'schedule', 'What happens at set times');
  add(schedule, {
    name: 'list',
    summary: 'List the jobs, with their next and last runs',
    examples: [['aiwgd schedule list', '']],
    load: () => import('../commands/schedule-list.js'),
  });
  add(schedule, {
    name: 'run',
    summary: 'Run a job now',
    details: 'Its next run at its time is not affected. The policy of overlap counts as at any run.',
    args: [['<job>', 'id of the job, or - for stdin']],
    examples: [['aiwgd schedule run health-check', '']],
    load: () => import('../commands/schedule-run.js'),
  });
  add(schedule, {
    name: 'next',
    summary: 'Say when a cron expression fires',
    details: 'Works without a daemon and outside of a project.',
    args: [['<cron>', 'five fields in quotes, or @daily and its kin']],
    options: [
      new Option('--timezone <tz>', "such as Europe/Berlin (default: the machine's)"),
      new Option(
        '--from <time>',
        'only slots after this: a date and time, or a length of time ago (default: now)',
      ),
      new Option('--count <n>', 'how many (default: 5)').argParser(wholeNumber(1, 1_000)),
    ],
    examples: [
      ["aiwgd schedule next '30 2 * * mon-fri'", ''],
      ["aiwgd schedule next '0 9 1 * *' --timezone Asia/Tokyo --from 2026-01-01 --count 12", ''],
    ],
    load: () => import('../commands/schedule-next.js'),
  });
};
