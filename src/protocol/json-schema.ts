import { type ConversionConfig, toJsonSchema } from '@valibot/to-json-schema';
import type { GenericSchema } from 'valibot';

export type JsonSchema = ReturnType<typeof toJsonSchema>;

/**
 * The JSON Schema of what a schema takes (`input`) or of what it yields (`output`). The schemas in `definitions` are
 * described once and referred to by their names.
 */
export function jsonSchemaOf(
  schema: GenericSchema,
  side: 'input' | 'output',
  definitions: Record<string, GenericSchema> = {},
): JsonSchema {
  return toJsonSchema(schema, {
    target: 'draft-2020-12',
    typeMode: side,
    definitions,
    // What a program judges, JSON Schema cannot say.
    ignoreActions: ['check', 'raw_check', 'finite'],
    overrideSchema: tidy,
  });
}

/** Says the same in fewer words, and the type of a constant. */
const tidy: NonNullable<ConversionConfig['overrideSchema']> = ({ valibotSchema, jsonSchema }) => {
  const { required, anyOf, ...rest } = jsonSchema;
  if (valibotSchema.type === 'literal') return { type: typeof jsonSchema.const as 'string', ...jsonSchema };
  if (required?.length === 0) return rest;
  const types = anyOf?.map((branch) => onlyType(branch));
  if (types === undefined || types.includes(undefined)) return undefined;
  return { ...rest, type: types as JsonSchema['type'] };
};

function onlyType(schema: boolean | JsonSchema): unknown {
  return typeof schema === 'object' && Object.keys(schema).length === 1 ? schema.type : undefined;
}
