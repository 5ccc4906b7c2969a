import type { Context } from '../context.js';
import { readProjectConfig } from '../read-project-config.js';

export async function run(context: Context): Promise<number | undefined> {
  const { config } = readProjectConfig(context);
  if (context.output.json) context.output.document(config);
  else context.output.line(JSON.stringify(config, null, 2));
  return 0;
}
