import type { GenericSchema } from 'valibot';
import { ERROR_CATALOGUE } from '../protocol/errors.js';
import { jsonSchemaOf } from '../protocol/json-schema.js';
import { METHODS } from '../protocol/methods.js';

/** The whole RPC interface as an OpenRPC document, made from the method table. */
export function openRpcDocument(version: string): Record<string, unknown> {
  return {
    openrpc: '1.3.2',
    info: {
      title: 'aiwgd',
      version,
      description: 'JSON-RPC 2.0 over a Unix socket, one message per line.',
      license: { name: 'MIT' },
    },
    methods: Object.entries(METHODS).map(([name, { summary, params, result }]) => ({
      name,
      summary,
      paramStructure: 'by-name',
      params: contentDescriptors(params),
      result: { name: 'result', schema: jsonSchema(result, 'output') },
    })),
    components: { errors: errorObjects() },
  };
}

interface ObjectSchema {
  properties?: Record<string, { description?: string }>;
  required?: string[];
}

function contentDescriptors(params: GenericSchema): object[] {
  const { properties = {}, required = [] } = jsonSchema(params, 'input') as ObjectSchema;
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    ...(description === undefined ? {} : { description }),
    required: required.includes(name),
    schema,
  }));
}

function jsonSchema(schema: GenericSchema, io: 'input' | 'output'): object {
  const { $schema: _, ...document } = jsonSchemaOf(schema, io);
  return document;
}

function errorObjects(): Record<string, object> {
  return Object.fromEntries(
    Object.entries(ERROR_CATALOGUE).flatMap(([name, { rpc, meaning }]) =>
      rpc === null ? [] : [[name, { code: rpc, message: meaning, data: { code: name } }]],
    ),
  );
}
