import { z } from 'zod';
import { configSchema } from './config-schema.js';

/** The JSON Schema of `daemon.json`, for editors: what may stand in the file, in all shapes. */
export function configJsonSchema(): Record<string, unknown> {
  const { $schema, ...schema } = z.toJSONSchema(configSchema, {
    io: 'input',
    // Left out by zod where a transformation follows, although the default is that of the file.
    override: ({ zodSchema, jsonSchema }) => {
      const { def } = zodSchema._zod;
      if (def.type === 'default') jsonSchema.default ??= def.defaultValue;
    },
  });
  return {
    $schema,
    title: 'aiwgd daemon.json',
    description: 'Configuration of aiwgd, the daemon that keeps coding agents at work.',
    // Editors take these two beyond JSON Schema: the file may have comments and trailing commas.
    allowComments: true,
    allowTrailingCommas: true,
    ...schema,
  };
}
