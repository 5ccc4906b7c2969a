/**
 * Every error that a person or a program can meet, in one place: its code (stable, for programs), the exit code of a
 * command that ends with it, and its JSON-RPC code where it can cross the socket. The reference page is made from this.
 */
export const ERROR_CATALOGUE = {
  PARSE_ERROR: { exit: 1, rpc: -32700, meaning: 'The line is not JSON, or not UTF-8.' },
  INVALID_REQUEST: { exit: 1, rpc: -32600, meaning: 'The JSON is not a JSON-RPC 2.0 request.' },
  METHOD_NOT_FOUND: { exit: 1, rpc: -32601, meaning: 'There is no such method; `rpc.discover` lists them.' },
  INVALID_PARAMS: {
    exit: 2,
    rpc: -32602,
    meaning: 'The parameters do not fit the method; `data` names each place.',
  },
  INTERNAL_ERROR: { exit: 1, rpc: -32603, meaning: 'A fault of the daemon; its log has the details.' },
  DAEMON_STOPPING: { exit: 1, rpc: -32000, meaning: 'The daemon is on its way out and takes no new work.' },
  NOT_FOUND: {
    exit: 4,
    rpc: -32001,
    meaning: 'There is no such task, rule, gate, job, subscription or dead letter.',
  },
  CONFLICT: { exit: 1, rpc: -32002, meaning: 'The thing is in a state that does not allow this.' },
  STORAGE_FULL: {
    exit: 1,
    rpc: -32003,
    meaning: 'The disk is full: nothing was accepted, nothing was lost.',
  },
  STORAGE_FAILED: {
    exit: 1,
    rpc: -32004,
    meaning: 'The task store cannot be read or written; `data` has the reason.',
  },
  LINE_TOO_LONG: {
    exit: 1,
    rpc: -32005,
    meaning: 'A message is longer than 16 MiB; the connection is closed.',
  },
  OVERLOADED: {
    exit: 1,
    rpc: -32006,
    meaning: 'A bound was reached (connections, subscriptions, queued tasks).',
  },
  INVALID_CONFIG: { exit: 1, rpc: -32007, meaning: 'The configuration has errors; `data` lists them all.' },
  NOT_ALLOWED: {
    exit: 1,
    rpc: null,
    meaning: 'An MCP client asked for what `mcp.allow`, or an option of `aiwgd mcp`, keeps from it.',
  },
  USAGE: { exit: 2, rpc: null, meaning: 'The command line is wrong.' },
  DAEMON_NOT_RUNNING: { exit: 3, rpc: null, meaning: 'No daemon runs for this project.' },
  ALREADY_RUNNING: { exit: 1, rpc: null, meaning: 'A daemon already runs for this project.' },
  START_FAILED: { exit: 1, rpc: null, meaning: 'The daemon could not be started; the message says why.' },
  NO_PROJECT: { exit: 2, rpc: null, meaning: 'No folder with `.aiwg/` here or above.' },
  CONNECTION_LOST: {
    exit: 1,
    rpc: null,
    meaning: 'The connection to the daemon ended before its answer came.',
  },
  TASK_NOT_COMPLETED: { exit: 1, rpc: null, meaning: 'The awaited task ended, but not with success.' },
  TIMED_OUT: { exit: 1, rpc: null, meaning: 'The thing waited for did not happen in time.' },
} as const satisfies Record<string, { exit: number; rpc: number | null; meaning: string }>;

export type ErrorCode = keyof typeof ERROR_CATALOGUE;

export interface AiwgdErrorOptions {
  /** The error beneath, kept for the log. */
  cause?: unknown;
  /** Machine-readable details; crosses the socket as JSON-RPC `data`. Never holds a secret. */
  data?: unknown;
}

/** An error of the catalogue. Its message names the thing, the place and the remedy. */
export class AiwgdError extends Error {
  override readonly name: string = 'AiwgdError';
  readonly code: ErrorCode;
  readonly data: unknown;

  constructor(code: ErrorCode, message: string, options: AiwgdErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.data = options.data;
  }

  get exitCode(): number {
    return ERROR_CATALOGUE[this.code].exit;
  }

  /** The JSON-RPC code; an error that has none of its own crosses the socket as an internal error. */
  get rpcCode(): number {
    return ERROR_CATALOGUE[this.code].rpc ?? ERROR_CATALOGUE.INTERNAL_ERROR.rpc;
  }
}

const CODE_BY_RPC = new Map<number, ErrorCode>(
  (Object.keys(ERROR_CATALOGUE) as ErrorCode[]).flatMap((code) => {
    const { rpc } = ERROR_CATALOGUE[code];
    return rpc === null ? [] : [[rpc, code] as const];
  }),
);

/** The catalogue's code for a JSON-RPC code; INTERNAL_ERROR for one that it does not have. */
export function errorCodeOfRpc(rpc: number): ErrorCode {
  return CODE_BY_RPC.get(rpc) ?? 'INTERNAL_ERROR';
}

/** The text of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
