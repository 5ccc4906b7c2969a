import { cronProblem } from '../../protocol/config/cron-expression.js';
import { CronTimes, normalizedCron } from '../../protocol/config/cron-times.js';
import { hostTimezone, isTimezone } from '../../protocol/config/timezone.js';
import { AiwgdError } from '../../protocol/errors.js';
import { parseMoment } from '../arguments.js';
import type { Context } from '../context.js';
import { formatRelative, formatZonedTime } from '../output/format.js';
import type { Output } from '../output/output.js';
import { visibleLine } from '../output/text.js';

const DEFAULT_COUNT = 5;

export async function run(context: Context): Promise<number | undefined> {
  const { args, options, output, clock } = context;
  const cron = visibleLine(args[0] ?? '');
  const problem = cronProblem(cron);
  if (problem !== undefined)
    throw new AiwgdError('USAGE', `The cron expression ${JSON.stringify(cron)} ${reason(problem)}.`);
  const timezone = options.timezone ?? hostTimezone();
  if (!isTimezone(timezone)) {
    throw new AiwgdError(
      'USAGE',
      `"${timezone}" is no time zone; write one of the IANA list, such as Europe/Berlin.`,
    );
  }
  const now = clock.now();
  const from = options.from === undefined ? now : parseMoment(localMidnight(options.from), now);
  if (from === undefined) {
    throw new AiwgdError(
      'USAGE',
      `"${options.from}" is no time; write 2026-01-31T08:00, or 2h for two hours ago.`,
    );
  }
  const slots = slotsAfter(new CronTimes(cron, timezone), from, options.count ?? DEFAULT_COUNT);
  if (output.json) {
    output.document({ cron, timezone, next: slots.map((slot) => new Date(slot).toISOString()) });
  } else {
    printView(output, { cron, timezone, slots, now });
  }
  return 0;
}

/** A date alone is midnight here, as a date with a time is; by the standard it would be that of Greenwich. */
function localMidnight(text: string): string {
  return /^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00` : text;
}

/** A problem is half a sentence of a field of a file; some of them need a word before. */
function reason(problem: string): string {
  return /^(?:has|must)\b/.test(problem) ? problem : `is wrong: ${problem}`;
}

function slotsAfter(times: CronTimes, from: number, count: number): number[] {
  const slots: number[] = [];
  for (let slot = times.next(from); slot !== null && slots.length < count; slot = times.next(slot)) {
    slots.push(slot);
  }
  return slots;
}

interface View {
  cron: string;
  timezone: string;
  slots: number[];
  now: number;
}

/** As `systemd-analyze calendar` shows it. */
function printView(output: Output, { cron, timezone, slots, now }: View): void {
  const print = (label: string, text: string): void =>
    output.line(`${output.paint('dim', `${label.padStart(15)}:`)} ${text}`);
  print('Original form', cron);
  print('Normalized form', normalizedCron(cron));
  print('Time zone', timezone);
  if (slots.length === 0) print('Next elapse', 'never');
  for (const [index, slot] of slots.entries()) {
    const iso = new Date(slot).toISOString();
    print(index === 0 ? 'Next elapse' : `Iteration #${index + 1}`, formatZonedTime(slot, timezone));
    if (timezone !== 'UTC') print('(in UTC)', formatZonedTime(slot, 'UTC'));
    print('From now', formatRelative(iso, now));
  }
}
