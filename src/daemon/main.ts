import { closeSync, writeSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { START_REPORT_FD, type StartReport } from '../protocol/start-report.js';
import { runDaemon } from './run-daemon.js';

/** The entry of a detached daemon; `aiwgd start` passes the arguments and reads the report. */
const { values } = parseArgs({
  options: {
    project: { type: 'string' },
    config: { type: 'string' },
    'end-agents': { type: 'boolean' },
    'grace-ms': { type: 'string' },
  },
});

function grace(ms: string | undefined): { graceMs?: number } {
  return ms === undefined ? {} : { graceMs: Number(ms) };
}

function report(message: StartReport): void {
  try {
    writeSync(START_REPORT_FD, `${JSON.stringify(message)}\n`);
    closeSync(START_REPORT_FD);
  } catch {
    // Whoever started us has gone; the daemon lives on all the same.
  }
}

process.exit(
  await runDaemon({
    project: values.project ?? process.cwd(),
    ...(values.config === undefined ? {} : { configFile: values.config }),
    foreground: false,
    endAgents: values['end-agents'] === true ? grace(values['grace-ms']) : undefined,
    report,
  }),
);
