import { AiwgdError } from '../../protocol/errors.js';
import type { MethodName } from '../../protocol/method-types.js';
import { closestOf } from '../../protocol/nearest.js';
import type { Tool } from './tool.js';

export interface ScopeOptions {
  /** `mcp.allow` of the configuration. */
  allow: readonly MethodName[];
  /** All tools there are. */
  tools: readonly Tool[];
  /** Every RPC method. */
  methods: readonly string[];
  /** Of the command line: only these of `allow`. */
  only: readonly string[] | undefined;
  /** Of the command line: only what changes nothing. */
  readOnly: boolean;
}

/**
 * What a client may do, for as long as the server runs: what the configuration allowed when it started, less what the
 * command line took away. Nothing widens it.
 */
export class Scope {
  /** The tools for which it has every method. */
  readonly tools: readonly Tool[];
  readonly #methods: ReadonlySet<MethodName>;

  /** USAGE where the command line names what is no RPC method, or what the configuration does not allow. */
  constructor({ allow, tools, methods, only, readOnly }: ScopeOptions) {
    for (const name of only ?? []) requireKnown(name, methods, allow);
    const kinds = readOnly ? tools.filter(({ reads }) => reads) : tools;
    const reading = new Set(kinds.flatMap((tool) => tool.methods));
    this.#methods = new Set(
      allow.filter(
        (method) => (only === undefined || only.includes(method)) && (!readOnly || reading.has(method)),
      ),
    );
    this.tools = kinds.filter((tool) => tool.methods.every((method) => this.allows(method)));
  }

  readonly allows = (method: MethodName): boolean => this.#methods.has(method);

  /** NOT_ALLOWED, with the remedy, for a method that is outside. */
  require(method: MethodName): void {
    if (!this.allows(method)) throw notAllowed(method);
  }
}

function requireKnown(name: string, methods: readonly string[], allow: readonly string[]): void {
  if (allow.includes(name)) return;
  if (!methods.includes(name)) {
    const text = `--allow ${name}: there is no such RPC method. Did you mean "${closestOf(name, methods)}"?`;
    throw new AiwgdError('USAGE', text);
  }
  const text = `--allow ${name}: mcp.allow in the project's configuration does not have it. The option narrows that list and never widens it.`;
  throw new AiwgdError('USAGE', text);
}

/** The refusal of what the scope does not have. */
export function notAllowed(method: string): AiwgdError {
  const text = `${method} is not allowed here. A person may add it to mcp.allow in .aiwg/daemon.json, where the options of aiwgd mcp do not keep it away, and start this MCP server anew.`;
  return new AiwgdError('NOT_ALLOWED', text, { data: { method } });
}
