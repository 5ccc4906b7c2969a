import { keyRows, keyTable } from './schema-text.mjs';

/** `docs/reference/rpc.md`: the method table. */
export function rpcPage(methods, jsonSchemaOf) {
  const rows = Object.entries(methods).map(
    ([name, { summary }]) => `| [\`${name}\`](#${anchor(name)}) | ${summary} |`,
  );
  return `${[
    '# RPC methods',
    '<!-- Made by `npm run docs`; edit src/protocol/methods.ts instead. -->',
    'JSON-RPC 2.0 over the Unix socket `.aiwg/daemon/daemon.sock`, one message per line. Errors are listed in [errors.md](errors.md).',
    ['| method | does |', '|---|---|', ...rows].join('\n'),
    ...Object.entries(methods).flatMap(([name, method]) => methodParts(name, method, jsonSchemaOf)),
  ].join('\n\n')}\n`;
}

const anchor = (name) => name.replaceAll('.', '');
const noLink = (name) => name;

function methodParts(name, { summary, params, result }, jsonSchemaOf) {
  const input = jsonSchemaOf(params, 'input');
  const rows = keyRows(input, '');
  return [
    `## ${name}`,
    summary,
    rows.length === 0 ? 'No parameters.' : keyTable(rows, noLink),
    `Result:\n\n\`\`\`ts\n${shape(jsonSchemaOf(result, 'output'), '')}\n\`\`\``,
  ];
}

/** A schema in the notation of TypeScript. */
function shape(schema, indent) {
  if ('const' in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  const branches = schema.anyOf ?? schema.oneOf;
  if (branches) return branches.map((branch) => shape(branch, indent)).join(' | ');
  if (Array.isArray(schema.type)) return schema.type.join(' | ');
  return schema.properties ? objectShape(schema, indent) : plainShape(schema, indent);
}

const PLAIN = { object: 'Record<string, unknown>', integer: 'number' };

function plainShape(schema, indent) {
  if (schema.type !== 'array') return PLAIN[schema.type] ?? schema.type ?? 'unknown';
  const item = shape(schema.items ?? {}, indent);
  return item.includes(' | ') ? `(${item})[]` : `${item}[]`;
}

function objectShape({ properties, required = [] }, indent) {
  const inner = `${indent}  `;
  const lines = Object.entries(properties).map(([key, property]) => {
    const mark = required.includes(key) ? '' : '?';
    const note = property.description === undefined ? '' : ` // ${property.description}`;
    return `${inner}${key}${mark}: ${shape(property, inner)};${note}`;
  });
  return `{\n${lines.join('\n')}\n${indent}}`;
}
