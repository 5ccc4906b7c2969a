import { findRunningDaemon } from '../../ipc/running-daemon.js';
import { type Clock, sleep } from '../../platform/clock.js';
import { AiwgdError, messageOf } from '../../protocol/errors.js';
import type { ProjectPaths } from '../../protocol/project-paths.js';
import type { DaemonStatus } from '../../protocol/status.js';
import { askDaemon } from '../call-daemon.js';
import type { Context } from '../context.js';
import { failureDocument } from '../failure.js';
import { requireProject } from '../project.js';
import { statusLines, stoppedLines } from '../views/status-lines.js';
import { withDeadline } from '../with-deadline.js';

const ANSWER_LIMIT_MS = 5_000;
const REDRAW_MS = 1_000;
const NOT_RUNNING_EXIT = 3;
const CLEAR_SCREEN = '\u001b[H\u001b[2J';

function askStatus(paths: ProjectPaths, clock: Clock): Promise<DaemonStatus> {
  return withDeadline(clock, ANSWER_LIMIT_MS, (signal) => askDaemon(paths, 'daemon.status', {}, signal));
}

/** Prints the state once and returns the exit code that goes with it. */
async function printStatus(paths: ProjectPaths, { output, clock }: Context): Promise<number> {
  try {
    const status = await askStatus(paths, clock);
    if (output.json) output.document(status);
    else for (const line of statusLines(status, output.paint)) output.line(line);
    return 0;
  } catch (error) {
    const daemon = findRunningDaemon(paths);
    if (daemon === undefined) {
      const { tasksLeftRunning } = await import('../lifecycle/left-agents.js');
      const tasksLeft = tasksLeftRunning(paths);
      if (output.json) output.document({ running: false, tasksLeft });
      else for (const line of stoppedLines(tasksLeft)) output.line(line);
      return NOT_RUNNING_EXIT;
    }
    const reason = messageOf(error);
    const failure = new AiwgdError(
      'CONNECTION_LOST',
      `The daemon (PID ${daemon.pid}) is alive but does not answer on its socket: ${reason}. It may still be starting; otherwise see aiwgd logs. aiwgd restart replaces it and leaves its agents at work; aiwgd stop --force ends both.`,
      { cause: error, data: { pid: daemon.pid } },
    );
    if (output.json) output.document({ running: true, pid: daemon.pid, ...failureDocument(failure) });
    output.problem(`aiwgd: ${failure.message}`);
    return failure.exitCode;
  }
}

export async function run(context: Context): Promise<number | undefined> {
  const { options, output, clock } = context;
  const paths = requireProject(options);
  if (!options.watch) return printStatus(paths, context);
  for (;;) {
    if (output.terminal && !output.json) output.write(CLEAR_SCREEN);
    await printStatus(paths, context);
    await sleep(clock, REDRAW_MS);
  }
}
