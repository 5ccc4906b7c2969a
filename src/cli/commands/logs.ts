import { closeSync } from 'node:fs';
import { sinceOption } from '../arguments.js';
import type { CliOptions } from '../cli-options.js';
import type { Context } from '../context.js';
import { followLog } from '../logs/follow-log.js';
import { levelNumber, parseLogLine, renderLogLine } from '../logs/log-line.js';
import { readTail } from '../logs/read-tail.js';
import { requireProject } from '../project.js';

const DEFAULT_LINES = 50;

interface LineFilter {
  accepts: (line: string) => boolean;
  isTooOld: (line: string) => boolean;
  /** Milliseconds since 1970. */
  since: number | undefined;
}

/** What `--level` and `--since` let through; a line that is not the daemon's always passes. */
function lineFilter(options: CliOptions, now: number): LineFilter {
  const since = sinceOption(options.since, now);
  const least = options.level === undefined ? undefined : levelNumber(options.level);
  const accepts = (line: string): boolean =>
    least === undefined || (parseLogLine(line)?.level ?? Number.POSITIVE_INFINITY) >= least;
  const isTooOld = (line: string): boolean =>
    since !== undefined && (parseLogLine(line)?.time ?? Number.POSITIVE_INFINITY) < since;
  return { accepts, isTooOld, since };
}

export async function run({ options, output, clock }: Context): Promise<number | undefined> {
  const paths = requireProject(options);
  const { accepts, isTooOld, since } = lineFilter(options, clock.now());
  const show = (line: string): string => `${output.json ? line : renderLogLine(line, output.paint)}\n`;

  // With a time but no number, everything since then is wanted.
  const count = options.lines ?? (since === undefined ? DEFAULT_LINES : Number.POSITIVE_INFINITY);
  const tail = readTail(paths.log, { count, accepts, isTooOld });
  for (const line of tail.lines) await output.stream(show(line));
  if (options.follow) {
    // Ends with the process: by Ctrl-C, or when nobody reads any more.
    const forever = new AbortController().signal;
    for await (const line of followLog(paths.log, tail.point, clock, forever)) {
      if (accepts(line) && !isTooOld(line)) await output.stream(show(line));
    }
  } else {
    if (tail.point !== undefined) closeSync(tail.point.file);
    else output.problem(`aiwgd: there is no log yet: ${paths.log}`);
  }
  return 0;
}
