import { code, keyRows, keyTable, kindOf, objectBranches } from './schema-text.mjs';

const TITLES = {
  Trigger: 'Triggers',
  Condition: 'Conditions',
  RuleAction: 'Actions of rules',
  JobAction: 'Actions of jobs',
};

const link = (name) => {
  const title = TITLES[name] ?? name;
  return `[${title.toLowerCase()}](#${title.toLowerCase().replaceAll(' ', '-')})`;
};

/** `docs/reference/configuration.md`: every key of `daemon.json`. */
export function configurationPage(schema) {
  return `${[
    '# Configuration',
    '<!-- Made by `npm run docs`; edit the descriptions in src/protocol/config/ instead. -->',
    'Every key of `.aiwg/daemon.json`. The file is JSON in which comments and trailing commas are allowed. All keys may be left out; what the column "default" names then holds. `aiwgd config validate` tells all errors at once, `aiwgd reload` applies a changed file, and [daemon.schema.json](daemon.schema.json) is the JSON Schema for editors.',
    ...sections(schema),
    ...definitions(schema.$defs ?? {}),
  ].join('\n\n')}\n`;
}

function sections(schema) {
  const single = [];
  const parts = [];
  for (const [name, section] of Object.entries(schema.properties)) {
    const rows = keyRows({ properties: { [name]: section } }, '');
    if (rows.length === 1) single.push(...rows);
    else
      parts.push(
        `## ${name}`,
        section.description,
        keyTable(section.properties ? rows.slice(1) : rows, link),
      );
    for (const long of rows.filter(
      (row) => Array.isArray(row.schema.default) && row.schema.default.length > 4,
    )) {
      parts.push(`Default of ${code(long.path)}: ${long.schema.default.map((one) => code(one)).join(', ')}.`);
    }
  }
  return ['## Top level', keyTable(single, link), ...parts];
}

function definitions(defs) {
  return Object.entries(TITLES).flatMap(([name, title]) => {
    if (defs[name] === undefined) throw new Error(`The schema has no definition ${name}`);
    const variants = objectBranches(resolve(defs[name], defs)).map(
      (branch) => `### ${variantTitle(title, kindOf(branch))}\n\n${keyTable(keyRows(branch, ''), link)}`,
    );
    return [`## ${title}`, ...variants];
  });
}

/** A definition may only point at another. */
function resolve(schema, defs) {
  return schema.$ref ? resolve(defs[schema.$ref.slice(schema.$ref.lastIndexOf('/') + 1)], defs) : schema;
}

function variantTitle(title, kind) {
  return kind === undefined
    ? 'An event by its type'
    : `${title.split(' ')[0].replace(/s$/, '')} ${code(kind)}`;
}
