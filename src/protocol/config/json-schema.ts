import { jsonSchemaOf } from '../json-schema.js';
import { jobActionSchema, ruleActionSchema } from './action-schema.js';
import { configSchema } from './config-schema.js';
import { conditionSchema, triggerSchema } from './rule-schema.js';

/** The JSON Schema of `daemon.json`, for editors: what may stand in the file, in all shapes. */
export function configJsonSchema(): Record<string, unknown> {
  const { $schema, ...schema } = jsonSchemaOf(configSchema, 'input', {
    JobAction: jobActionSchema,
    Trigger: triggerSchema,
    Condition: conditionSchema,
    RuleAction: ruleActionSchema,
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
