import { doctorLines } from '../../protocol/doctor-report.js';
import { callDaemon } from '../call-daemon.js';
import type { Context } from '../context.js';
import { visibleText } from '../output/text.js';

/** Exit code 1 where something has failed. */
export async function run(context: Context): Promise<number | undefined> {
  const { output } = context;
  const report = await callDaemon(context, 'daemon.doctor', {});
  if (output.json) output.document(report);
  else for (const line of doctorLines(report)) output.line(visibleText(line));
  return report.ok ? 0 : 1;
}
