// Words and table rows for JSON Schemas.

/** Without what would end a cell of a table. */
function cell(text) {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

export function code(value) {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return `\`${text}\``;
}

const refName = (ref) => ref.slice(ref.lastIndexOf('/') + 1);
const branchesOf = (schema) => schema.anyOf ?? schema.oneOf;

/** `whole number, 1 to 65535`: what may stand there, in words. `link` turns the name of a definition into text. */
function typeText(schema, link) {
  if (schema.$ref) return link(refName(schema.$ref));
  if (schema.const !== undefined) return code(JSON.stringify(schema.const));
  if (schema.enum) return schema.enum.map((value) => code(JSON.stringify(value))).join(', ');
  const branches = branchesOf(schema);
  if (branches) return [...new Set(branches.map((branch) => typeText(branch, link)))].join(' or ');
  if (Array.isArray(schema.type))
    return schema.type.map((type) => typeText({ ...schema, type }, link)).join(' or ');
  switch (schema.type) {
    case 'array':
      return listText(schema, link);
    case 'integer':
      return `whole number${range(schema)}`;
    case 'number':
      return `number${range(schema)}`;
    case 'boolean':
      return '`true`, `false`';
    case 'object':
      return 'object';
    case undefined:
      return 'any';
    default:
      return schema.type;
  }
}

function listText(schema, link) {
  const item = schema.items ?? schema.prefixItems?.[0] ?? {};
  const text = typeText(item, link);
  return `list of ${/^`[^`]*`$/.test(text) || !text.includes('`') ? text : `(${text})`}`;
}

/** Bounds that nobody will meet are left out. */
const BEYOND = 10_000_000;

function range({ minimum, maximum, exclusiveMinimum }) {
  const least = minimum ?? (exclusiveMinimum === undefined ? undefined : `more than ${exclusiveMinimum}`);
  const most = maximum > BEYOND ? undefined : maximum;
  if (least === undefined || least < -BEYOND) return most === undefined ? '' : `, up to ${most}`;
  if (most === undefined) return minimum === undefined ? `, ${least}` : `, ${least} or more`;
  return `, ${least} to ${most}`;
}

/** Whether the schema is a choice between objects. */
export function objectBranches(schema) {
  return (branchesOf(schema) ?? []).flatMap((branch) =>
    branch.properties ? [branch] : objectBranches(branch),
  );
}

/** The constant that tells one branch of a choice from the others. */
export function kindOf(branch) {
  const key = ['type', 'provider'].find((name) => branch.properties[name]);
  const schema = key === undefined ? {} : branch.properties[key];
  if ('const' in schema) return schema.const;
  return schema.enum?.join(' or ');
}

/** Rows for every key of an object and of what is in it: path, schema, whether it must be there. */
export function keyRows(schema, prefix, only) {
  const required = new Set(schema.required);
  return Object.entries(schema.properties ?? {}).flatMap(([key, property]) => {
    const path = `${prefix}${key}`;
    return [{ path, schema: property, required: required.has(key), only }, ...innerRows(property, path)];
  });
}

function innerRows(schema, path) {
  if (schema.properties) return keyRows(schema, `${path}.`);
  if (schema.items) return innerRows(schema.items, `${path}[]`);
  const values = schema.additionalProperties;
  if (values && typeof values === 'object') return innerRows(values, `${path}.<name>`);
  return merged(objectBranches(schema), path);
}

/** Keys that several branches share stand once; the others name the branches that have them. */
function merged(branches, path) {
  const rows = new Map();
  for (const branch of branches) {
    for (const row of keyRows(branch, `${path}.`)) {
      const same = JSON.stringify([row.path, row.schema.description ?? row.schema]);
      const known = rows.get(same) ?? { ...row, kinds: [], schemas: [] };
      known.kinds.push(kindOf(branch));
      known.schemas.push(row.schema);
      rows.set(same, known);
    }
  }
  return [...rows.values()].map(({ schemas, kinds, ...row }) => {
    const defaults = new Set(
      schemas.flatMap((one) => (one.default === undefined ? [] : [JSON.stringify(one.default)])),
    );
    return {
      ...row,
      schema:
        'const' in row.schema
          ? { ...row.schema, const: undefined, enum: schemas.map((one) => one.const) }
          : row.schema,
      defaultText: defaults.size > 1 ? 'as the provider' : undefined,
      only: kinds.length < branches.length ? kinds : undefined,
    };
  });
}

/** A table of keys. */
export function keyTable(rows, link) {
  const lines = rows.map(({ path, schema, required, only, defaultText }) => {
    const fallback =
      defaultText ?? (schema.default === undefined ? (required ? 'required' : '–') : shownDefault(schema));
    const meaning = `${schema.description ?? ''}${only ? ` Only for ${only.map(code).join(', ')}.` : ''}`;
    return `| ${code(path)} | ${cell(typeText(schema, link))} | ${cell(fallback)} | ${cell(meaning)} |`;
  });
  return ['| key | type | default | meaning |', '|---|---|---|---|', ...lines].join('\n');
}

/** The default of a section is that of its keys. */
function shownDefault({ default: value, properties }) {
  if (properties) return '–';
  return Array.isArray(value) && value.length > 4 ? 'see below' : code(JSON.stringify(value));
}
