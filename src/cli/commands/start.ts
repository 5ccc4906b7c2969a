import { resolve } from 'node:path';
import { type Clock, sleep } from '../../platform/clock.js';
import type { DaemonModule, StartReport } from '../../protocol/start-report.js';
import type { Context } from '../context.js';
import { startDaemon } from '../lifecycle/start-daemon.js';
import { projectToBe } from '../project.js';
import { takenOverLines } from '../views/taken-over.js';

/** How long a reader of stdout may take for the last lines. */
const LAST_LINES_MS = 1_000;

async function runInForeground(
  project: string,
  configFile: string | undefined,
  clock: Clock,
): Promise<number> {
  // The one place where the command line becomes the daemon. Loaded by address: nothing else here depends on it.
  const address = new URL('../../daemon/run-daemon.js', import.meta.url).href;
  const { runDaemon } = (await import(address)) as DaemonModule;
  const report = (told: StartReport): void => {
    if ('error' in told) process.stderr.write(`aiwgd: ${told.error.message}\n`);
  };
  const code = await runDaemon({ project, configFile, foreground: true, report });
  const shown = new Promise<void>((done) => void process.stdout.write('', () => done()));
  await Promise.race([shown, sleep(clock, LAST_LINES_MS)]);
  // Lines that nobody reads would keep the process, and whoever waits for its end, for ever.
  process.exit(code);
}

export async function run({ options, output, clock, onInterrupt }: Context): Promise<number | undefined> {
  const paths = projectToBe(options);
  const configFile = options.config === undefined ? undefined : resolve(options.config);
  if (options.foreground) return runInForeground(paths.root, configFile, clock);
  const { pid, socket, warnings, takenOver } = await startDaemon(paths, clock, {
    configFile,
    onSpawn: (child) => onInterrupt(() => void child.kill('SIGTERM')),
  });
  if (output.json) output.document({ pid, project: paths.root, socket, warnings, takenOver });
  else {
    output.line(`Daemon started (PID: ${pid})${paths.root === process.cwd() ? '' : ` for ${paths.root}`}`);
    for (const line of takenOverLines(takenOver)) output.line(line);
  }
  for (const warning of warnings) output.problem(`aiwgd: warning: ${warning}`);
  return 0;
}
