import { configJsonSchema } from '../../protocol/config/json-schema.js';
import type { Context } from '../context.js';

export async function run({ output }: Context): Promise<number | undefined> {
  const schema = configJsonSchema();
  if (output.json) output.document(schema);
  else output.line(JSON.stringify(schema, null, 2));
  return 0;
}
