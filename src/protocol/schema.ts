import * as v from 'valibot';

/**
 * What valibot lacks for JSON: objects that are no lists, that own their keys, and whose unknown keys are all told; and
 * choices that tell the faults of each branch apart. Each is valibot's own schema with another way to run, so that types,
 * pipes and JSON Schema are as ever.
 */

/** A schema that takes anything and yields `T` when it fits. */
export type Schema<T> = v.GenericSchema<unknown, T>;
export type Issue = v.BaseIssue<unknown>;

type AnySchema = v.GenericSchema;
type Config = v.Config<Issue>;

interface Dataset {
  typed?: boolean;
  value: unknown;
  issues?: [Issue, ...Issue[]] | undefined;
}

/** A key of an object that its schema does not name. */
export const UNKNOWN_KEY = 'unknown_key';

/** Unknown keys told of one object: more than anybody reads. */
const MOST_UNKNOWN_KEYS = 1_000;

export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The same schema, run in another way. */
function running<S extends AnySchema>(
  schema: S,
  run: (dataset: Dataset, config: Config, schema: S) => Dataset,
): S {
  return Object.assign(schema, {
    '~run': (dataset: Dataset, config: Config) => run(dataset, config, schema),
  });
}

function refuse(schema: AnySchema, dataset: Dataset, config: Config, extra: Partial<Issue> = {}): Dataset {
  const { type = schema.type, requirement, ...other } = extra;
  // valibot's own way to add an issue: the words come from the `message` of `config`.
  v._addIssue({ ...schema, type, requirement }, 'type', dataset, config, other as object);
  return dataset;
}

/** Runs the schema of one part, and moves its issues up to the whole. */
function runPart(
  part: AnySchema,
  value: unknown,
  place: v.IssuePathItem,
  whole: Dataset,
  config: Config,
): Dataset {
  const dataset = part['~run']({ value }, config) as Dataset;
  if (dataset.issues !== undefined) {
    for (const issue of dataset.issues) {
      const path = issue.path as v.IssuePathItem[] | undefined;
      if (path === undefined) Object.assign(issue, { path: [place] });
      else path.unshift(place);
      if (whole.issues === undefined) whole.issues = [issue];
      else whole.issues.push(issue);
    }
  }
  if (!dataset.typed) whole.typed = false;
  return dataset;
}

function placeOf(
  input: Record<string, unknown>,
  key: string,
  origin: 'key' | 'value' = 'value',
): v.IssuePathItem {
  return { type: 'object', origin, input, key, value: input[key] };
}

const MAY_BE_ABSENT: ReadonlySet<string> = new Set(['optional', 'exact_optional']);

/** An object with these keys and no others. */
export function object<const E extends v.ObjectEntries>(entries: E): v.StrictObjectSchema<E, undefined> {
  const parts = Object.entries(entries) as [string, AnySchema & { default?: unknown }][];
  const known = parts.map(([key]) => key);
  return running(v.strictObject(entries), (dataset, config, schema) => {
    const input = dataset.value;
    if (!isJsonObject(input)) return refuse(schema, dataset, config);
    const output: Record<string, unknown> = {};
    const whole: Dataset = { typed: true, value: output, issues: dataset.issues };
    for (const [key, part] of parts) {
      const given = Object.hasOwn(input, key);
      if (!given && MAY_BE_ABSENT.has(part.type) && part.default === undefined) continue;
      output[key] = runPart(part, given ? input[key] : undefined, placeOf(input, key), whole, config).value;
    }
    const strange = Object.keys(input).filter((key) => !Object.hasOwn(entries, key));
    for (const key of strange.slice(0, MOST_UNKNOWN_KEYS)) {
      const path: Issue['path'] = [placeOf(input, key, 'key')];
      refuse(schema, whole, config, { type: UNKNOWN_KEY, requirement: known, path });
    }
    return whole;
  });
}

/** An object with any keys of one kind. A key `__proto__`, which no honest file has, is left out. */
export function record<K extends v.GenericSchema<string, string>, const V extends AnySchema>(
  key: K,
  value: V,
): v.RecordSchema<K, V, undefined> {
  return running(v.record(key, value), (dataset, config, schema) => {
    const input = dataset.value;
    if (!isJsonObject(input)) return refuse(schema, dataset, config);
    const output: Record<string, unknown> = {};
    const whole: Dataset = { typed: true, value: output, issues: dataset.issues };
    for (const name of Object.keys(input)) {
      if (name === '__proto__') continue;
      runPart(key, name, placeOf(input, name, 'key'), whole, config);
      output[name] = runPart(value, input[name], placeOf(input, name), whole, config).value;
    }
    return whole;
  });
}

/** Objects that a key tells apart. The issue of an unknown kind has the known ones as its `requirement`. */
export function variant<const K extends string, const O extends v.VariantOptions<K>>(
  key: K,
  options: O,
): v.VariantSchema<K, O, undefined> {
  const branches = (options as readonly (AnySchema & { entries: Record<K, AnySchema> })[]).map((branch) => ({
    branch,
    kind: branch.entries[key],
    kinds: literalsOf(branch.entries[key]),
  }));
  const known = branches.flatMap(({ kinds }) => kinds);
  return running(v.variant(key, options), (dataset, config, schema) => {
    const input = dataset.value;
    if (!isJsonObject(input)) return refuse(schema, dataset, config);
    const given = Object.hasOwn(input, key);
    const fitting = branches.find(({ kind, kinds }) =>
      given ? kinds.includes(input[key]) : MAY_BE_ABSENT.has(kind.type),
    );
    if (fitting !== undefined) return fitting.branch['~run']({ value: input }, config);
    const path: Issue['path'] = [placeOf(input, key)];
    return refuse(schema, dataset, config, { requirement: known, input: input[key], path });
  });
}

function literalsOf(schema: AnySchema): unknown[] {
  if ('wrapped' in schema) return literalsOf(schema.wrapped as AnySchema);
  if ('literal' in schema) return [schema.literal];
  return 'options' in schema ? [...(schema.options as unknown[])] : [];
}

/** One of these texts; the issue has them as its `requirement`. */
export function oneOf<const T extends readonly string[]>(values: T): v.PicklistSchema<T, undefined> {
  return Object.assign(v.picklist(values), { requirement: values });
}

/** Exactly this value; the issue has it in its `requirement`. */
export function literal<const T extends string | boolean>(value: T): v.LiteralSchema<T, undefined> {
  return Object.assign(v.literal(value), { requirement: [value] });
}

/** The first of the schemas that fits. When none does, the issue has the issues of each as its `requirement`. */
export function choice<const O extends v.UnionOptions>(options: O): v.UnionSchema<O, undefined> {
  return running(v.union(options), (dataset, config, schema) => {
    const branches: Issue[][] = [];
    for (const option of options) {
      const result = option['~run']({ value: dataset.value }, config) as Dataset;
      if (result.issues === undefined) return result;
      branches.push(result.issues);
    }
    return refuse(schema, dataset, config, { requirement: branches });
  });
}

/** A whole number within bounds. */
export function wholeNumber(least: number, most: number = Number.MAX_SAFE_INTEGER) {
  return v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(most));
}

/** The schema with a description for the reference. */
export function about<S extends AnySchema>(schema: S, description: string): S {
  return v.pipe(schema, v.description(description)) as unknown as S;
}

/** A key that may be left out: it then holds `fallback`. */
export function setting<const S extends AnySchema, const D extends v.Default<S, undefined>>(
  schema: S,
  fallback: D,
  description: string,
): v.OptionalSchema<S, D> {
  return v.optional(about(schema, description), fallback);
}

/** As `setting`, for what may also be null, and is when left out. */
export function nullableSetting<const S extends AnySchema>(
  schema: S,
  description: string,
): v.OptionalSchema<v.NullableSchema<S, undefined>, null> {
  return v.optional(about(v.nullable(schema), description), null);
}

/** A check that words its own refusal: `problem` says what is wrong, or nothing. */
export function judge<T>(problem: (value: T) => string | undefined) {
  return v.rawCheck<T>(({ dataset, addIssue }) => {
    const message = dataset.typed ? problem(dataset.value) : undefined;
    if (message !== undefined) addIssue({ message });
  });
}

/** A check of an object as a whole, whatever is wrong with its parts. A fault is told at the key `at`, if given. */
export function judgeWhole<T>(problem: (value: Record<string, unknown>) => string | undefined, at?: string) {
  return v.rawCheck<T>(({ dataset, addIssue }) => {
    const { value }: { value: unknown } = dataset;
    const message = isJsonObject(value) ? problem(value) : undefined;
    if (message === undefined) return;
    addIssue(
      at === undefined ? { message } : { message, path: [placeOf(value as Record<string, unknown>, at)] },
    );
  });
}
