import { formatProblems } from '../../protocol/config/problems.js';
import type { Context } from '../context.js';
import { readProjectConfig } from '../read-project-config.js';

export async function run(context: Context): Promise<number | undefined> {
  const { output } = context;
  const { file, exists, warnings } = readProjectConfig(context);
  if (output.json) {
    output.document({ valid: true, file, exists, warnings });
    return 0;
  }
  output.line(exists ? `${file} is valid` : `There is no ${file} yet; the defaults apply`);
  if (warnings.length > 0) output.problem(formatProblems(file, warnings));
  return 0;
}
