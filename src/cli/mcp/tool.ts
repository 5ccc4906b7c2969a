import { exactOptional, type GenericSchema, type ObjectEntries } from 'valibot';
import type { MethodName, ParamsOf } from '../../protocol/method-types.js';
import { METHODS } from '../../protocol/methods.js';
import { about, object } from '../../protocol/schema.js';
import { visibleText } from '../../protocol/visible-text.js';
import { boundedValue } from './bounded.js';
import type { DaemonCalls } from './daemon-calls.js';

/** What a tool has while it is carried out. */
export interface ToolContext {
  daemon: DaemonCalls;
  /** Aborted when the client takes its call back, or leaves. */
  signal: AbortSignal;
  /** Tells the client how far it is; undefined where the client did not ask. */
  progress: ((message: string) => void) | undefined;
}

/** The same thing twice: for programs, and in words for models and people. */
export interface ToolAnswer {
  structured: Record<string, unknown>;
  /** Harmless on a terminal. */
  text: string;
}

export interface ToolSpec<Input> {
  name: string;
  /** What a person sees in a menu. */
  title: string;
  /** What a model reads to decide whether to call it. */
  description: string;
  /** RPC methods that it makes use of: it is offered where all of them are allowed. */
  methods: readonly MethodName[];
  /** It changes nothing. */
  reads: boolean;
  /** It may end or undo something, so that a client asks first. */
  destructive?: boolean;
  /** Its arguments. */
  entries: ObjectEntries;
  /** Arguments that are only there where a further method is allowed. */
  needs?: Readonly<Record<string, MethodName>>;
  run: (input: Input, context: ToolContext) => Promise<ToolAnswer>;
}

/** A tool whose arguments have been checked against its entries before it runs. */
export type Tool = ToolSpec<never>;

/** The arguments of a tool, in a scope that allows these methods: no others are taken. */
export function inputSchema(tool: Tool, allows: (method: MethodName) => boolean): GenericSchema {
  const entries = Object.entries(tool.entries).filter(([key]) => {
    const method = tool.needs?.[key];
    return method === undefined || allows(method);
  });
  return object(Object.fromEntries(entries));
}

/**
 * Parameters of an RPC method as arguments of a tool, each with what a model should know of it; null where the method
 * table says it already.
 */
export function fieldsOf<M extends MethodName>(
  method: M,
  fields: { readonly [K in keyof ParamsOf<M>]?: string | null },
): ObjectEntries {
  const { entries } = METHODS[method].params as unknown as { entries: Record<string, GenericSchema> };
  const picked: Record<string, GenericSchema> = {};
  for (const [key, description] of Object.entries(fields) as [string, string | null][]) {
    const schema = entries[key];
    if (schema === undefined) throw new Error(`${method} has no parameter ${key}`);
    picked[key] = description === null ? schema : about(withoutNull(schema), description);
  }
  return picked;
}

/** What may be left out need not be null as well: not every client understands a type that is two. */
function withoutNull(schema: GenericSchema): GenericSchema {
  const { wrapped } = schema as { wrapped?: GenericSchema & { wrapped?: GenericSchema } };
  return wrapped?.type === 'nullable' && wrapped.wrapped !== undefined
    ? exactOptional(wrapped.wrapped)
    : schema;
}

/** Characters of an answer that only passes on what the daemon said. */
const PLAIN_CHARACTERS = 64 * 1024;

/** An answer of the daemon, bounded, with its JSON for words. */
export function plainAnswer(value: Record<string, unknown>): ToolAnswer {
  const structured = boundedValue(value, PLAIN_CHARACTERS) as Record<string, unknown>;
  return { structured, text: visibleText(JSON.stringify(structured)) };
}
