import { type CallToolResult, ErrorCode, McpError } from '@modelcontextprotocol/sdk/types.js';
import type { GenericSchema } from 'valibot';
import { invalidParams, shown, suggestion } from '../../ipc/invalid-params.js';
import { AiwgdError, messageOf } from '../../protocol/errors.js';
import { check } from '../../protocol/issue-text.js';
import { jsonSchemaOf } from '../../protocol/json-schema.js';
import { visibleText } from '../../protocol/visible-text.js';
import { boundedValue, cutText } from './bounded.js';
import type { DaemonCalls } from './daemon-calls.js';
import { notAllowed, type Scope } from './scope.js';
import { Slots } from './slots.js';
import { inputSchema, type Tool, type ToolAnswer } from './tool.js';

/** Calls of a client that are carried out at the same time. */
const MOST_CALLS = 32;
const ERROR_CHARACTERS = 8_000;

/** One call as the client made it. */
export interface CallRequest {
  name: string;
  input: unknown;
  signal: AbortSignal;
  progress: ((message: string) => void) | undefined;
}

interface Offered {
  tool: Tool;
  schema: GenericSchema;
}

/** A tool as `tools/list` shows it. */
export interface ListedTool {
  name: string;
  title: string;
  description: string;
  inputSchema: { type: 'object'; [key: string]: unknown };
  annotations: { readOnlyHint: boolean; destructiveHint: boolean };
}

/** From a call of a tool to its answer, within the scope and the bounds. Faults become answers too, as MCP wants it. */
export class ToolCalls {
  readonly slots = new Slots(MOST_CALLS, 'calls');
  readonly #daemon: DaemonCalls;
  readonly #all: readonly Tool[];
  readonly #offered: ReadonlyMap<string, Offered>;
  readonly #complain: (error: Error) => void;

  constructor(
    scope: Scope,
    options: { all: readonly Tool[]; daemon: DaemonCalls; complain: (error: Error) => void },
  ) {
    this.#daemon = options.daemon;
    this.#all = options.all;
    this.#complain = options.complain;
    this.#offered = new Map(
      scope.tools.map((tool) => [tool.name, { tool, schema: inputSchema(tool, scope.allows) }]),
    );
  }

  /** The tools of the scope, with what they take. */
  list(): ListedTool[] {
    return [...this.#offered.values()].map(({ tool, schema }) => {
      const { $schema: _, ...input } = jsonSchemaOf(schema, 'input');
      return {
        name: tool.name,
        title: tool.title,
        description: tool.description,
        inputSchema: { ...input, type: 'object' },
        annotations: { readOnlyHint: tool.reads, destructiveHint: tool.destructive === true },
      };
    });
  }

  /** Carries a call out. Throws an McpError for a tool that does not exist; every other fault is an answer. */
  async run({ name, input, signal, progress }: CallRequest): Promise<CallToolResult> {
    const offered = this.#offered.get(name);
    if (offered === undefined) {
      const known = this.#all.find((tool) => tool.name === name);
      if (known !== undefined) return failure(this.#outside(known));
      const text = `There is no tool "${shown(name)}".${suggestion(name, [...this.#offered.keys()])}`;
      throw new McpError(ErrorCode.InvalidParams, text);
    }
    const { tool, schema } = offered;
    try {
      return success(
        await this.slots.run(async () => {
          const parsed = check(schema, input ?? {});
          if (!parsed.success) throw invalidParams(name, parsed.issues);
          return tool.run(parsed.output as never, { daemon: this.#daemon, signal, progress });
        }),
      );
    } catch (error) {
      if (signal.aborted)
        return failure(new AiwgdError('CONNECTION_LOST', 'The client has taken the call back.'));
      if (!(error instanceof AiwgdError)) this.#complain(error as Error);
      return failure(error, !tool.reads);
    }
  }

  #outside(tool: Tool): AiwgdError {
    const missing = tool.methods.filter((method) => !this.#daemon.allows(method));
    return notAllowed(missing[0] ?? tool.name);
  }
}

function success({ structured, text }: ToolAnswer): CallToolResult {
  return { content: [{ type: 'text', text }], structuredContent: structured };
}

function failure(error: unknown, changes = false): CallToolResult {
  const known = error instanceof AiwgdError ? error : new AiwgdError('INTERNAL_ERROR', messageOf(error));
  const { code, data } = known;
  // The call was on its way when the connection broke.
  const doubt = changes && ['CONNECTION_LOST', 'TIMED_OUT'].includes(code);
  const message = `${cutText(known.message, ERROR_CHARACTERS)}${doubt ? ' It may have been carried out: look before you do it again.' : ''}`;
  const details = data === undefined ? {} : { data: boundedValue(data, ERROR_CHARACTERS) };
  return {
    isError: true,
    content: [{ type: 'text', text: visibleText(`${message} (${code})`) }],
    structuredContent: { error: { code, message, ...details } },
  };
}
