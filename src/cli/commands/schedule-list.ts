import type { ScheduledJob } from '../../protocol/automation.js';
import { callDaemon } from '../call-daemon.js';
import type { Context } from '../context.js';
import { formatRelative } from '../output/format.js';
import { tableLines } from '../output/table.js';
import { visibleLine } from '../output/text.js';

export async function run(context: Context): Promise<number | undefined> {
  const { output, clock } = context;
  const jobs = await callDaemon(context, 'schedule.list', {});
  if (output.json) {
    output.document(jobs);
    return 0;
  }
  if (jobs.length === 0) {
    output.line('No jobs');
    return 0;
  }
  const columns = [
    { title: 'ID' },
    { title: 'NEXT', align: 'right' as const },
    { title: 'LAST', align: 'right' as const },
    { title: 'OUTCOME' },
    { title: 'CRON' },
    { title: 'TIMEZONE' },
    { title: 'ACTION', flexible: true },
  ];
  const rows = jobs.map((job) => cellsOf(job, clock.now()));
  for (const line of tableLines(columns, rows, output.columns(), output.paint)) output.line(line);
  return 0;
}

function cellsOf(job: ScheduledJob, now: number): string[] {
  return [
    visibleLine(job.id),
    job.enabled ? formatRelative(job.next, now) : 'disabled',
    formatRelative(job.last, now),
    job.lastOutcome ?? '-',
    visibleLine(job.cron),
    visibleLine(job.timezone),
    visibleLine(job.action),
  ];
}
