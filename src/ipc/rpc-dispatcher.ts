import type { GenericSchema } from 'valibot';
import type { Log } from '../platform/log.js';
import { AiwgdError, ERROR_CATALOGUE, type ErrorCode } from '../protocol/errors.js';
import { check } from '../protocol/issue-text.js';
import { invalidParams, type ParamsProblem, paramsError, shown, suggestion } from './invalid-params.js';
import { MAX_LINE_BYTES } from './line-splitter.js';

/** Most requests in one batch. */
export const MAX_BATCH_LENGTH = 10_000;
/** Requests of one batch that run at the same time. */
const BATCH_WINDOW = 64;
/** What a batch's answers may hold together; less than a line, to leave room for the errors of the rest. */
const MAX_BATCH_REPLY = MAX_LINE_BYTES - 4 * 1024 * 1024;
/** Longest list that is handed to a schema, which would report each of millions of wrong entries. */
const MAX_LIST_LENGTH = 10_000;

export type Methods = Readonly<Record<string, { params: GenericSchema }>>;
/** Carries out one method; `params` have passed its schema. */
export type AnyHandler<C> = (params: never, context: C) => unknown;

export interface RpcDispatcherOptions<C> {
  methods: Methods;
  /** A method without a handler is not found. */
  handlers: Readonly<Record<string, AnyHandler<C> | undefined>>;
  log: Log;
}

/** One line without its newline, or undefined where nothing is answered (notifications). */
export type Reply = string | undefined;

type Id = string | number | null;
interface Row<C> {
  schema: GenericSchema;
  handler: AnyHandler<C>;
}

/** JSON-RPC 2.0: from one line of text to its answer. Whatever the text or a handler does, it neither throws nor rejects. */
export class RpcDispatcher<C> {
  readonly #rows = new Map<string, Row<C>>();
  readonly #log: Log;

  constructor(options: RpcDispatcherOptions<C>) {
    this.#log = options.log;
    for (const [name, { params }] of Object.entries(options.methods)) {
      const handler = options.handlers[name];
      if (handler !== undefined) this.#rows.set(name, { schema: params, handler });
    }
  }

  /** The answer, at once where every handler answered at once. */
  dispatch(line: string, context: C): Reply | Promise<Reply> {
    let message: unknown;
    try {
      message = JSON.parse(line);
    } catch {
      return errorLine('PARSE_ERROR', 'The line is not JSON.');
    }
    return Array.isArray(message) ? this.#batch(message, context) : this.#request(message, context);
  }

  #request(message: unknown, context: C): Reply | Promise<Reply> {
    if (typeof message !== 'object' || message === null) {
      return errorLine('INVALID_REQUEST', 'A request is a JSON object.');
    }
    const { jsonrpc, method, params, id } = message as Record<string, unknown>;
    if (id !== undefined && !isId(id)) {
      return errorLine('INVALID_REQUEST', '`id` must be a string, a number or null.');
    }
    if (jsonrpc !== '2.0') return errorLine('INVALID_REQUEST', '`jsonrpc` must be "2.0".', id);
    if (typeof method !== 'string') return errorLine('INVALID_REQUEST', '`method` must be a string.', id);
    if (params !== undefined && (typeof params !== 'object' || params === null)) {
      return errorLine('INVALID_REQUEST', '`params` must be an object.', id);
    }
    const row = this.#rows.get(method);
    if (row === undefined) {
      if (id === undefined) return undefined;
      const text = `There is no method "${shown(method)}".${suggestion(method, [...this.#rows.keys()])}`;
      return errorLine('METHOD_NOT_FOUND', text, id);
    }
    return this.#call(method, row, params, id, context);
  }

  #call(
    method: string,
    row: Row<C>,
    given: object | undefined,
    id: Id | undefined,
    context: C,
  ): Reply | Promise<Reply> {
    try {
      const params = this.#validate(method, row.schema, given);
      const result = row.handler(params as never, context);
      if (result instanceof Promise) {
        return result.then(
          (value: unknown) => this.#success(method, id, value),
          (error: unknown) => this.#failure(method, id, error),
        );
      }
      return this.#success(method, id, result);
    } catch (error) {
      return this.#failure(method, id, error);
    }
  }

  #validate(method: string, schema: GenericSchema, given: object = {}): unknown {
    let params = given;
    if (Array.isArray(given)) {
      if (given.length > 0) {
        throw paramsError(method, [
          { path: '', message: 'pass the parameters by name, in an object, not in an array' },
        ]);
      }
      params = {};
    }
    const tooLong = longList(params);
    if (tooLong !== undefined) throw paramsError(method, [tooLong]);
    const parsed = check(schema, params);
    if (!parsed.success) throw invalidParams(method, parsed.issues);
    return parsed.output;
  }

  #success(method: string, id: Id | undefined, value: unknown): Reply {
    if (id === undefined) return undefined;
    let text: string;
    try {
      text = JSON.stringify(value) ?? 'null';
    } catch (error) {
      return this.#failure(method, id, error);
    }
    if (text.length > MAX_LINE_BYTES / 4 && Buffer.byteLength(text) > MAX_LINE_BYTES - 1024) {
      const size = `The answer to ${method} is longer than ${MAX_LINE_BYTES / 1024 / 1024} MiB.`;
      return errorLine('OVERLOADED', `${size} Ask for less at a time.`, id);
    }
    return `{"jsonrpc":"2.0","id":${idText(id)},"result":${text}}`;
  }

  #failure(method: string, id: Id | undefined, error: unknown): Reply {
    if (!(error instanceof AiwgdError)) {
      this.#log.error({ err: error, method }, 'A request failed on a fault of the daemon');
      if (id === undefined) return undefined;
      return errorLine(
        'INTERNAL_ERROR',
        `${method} failed on a fault of the daemon; its log has the details.`,
        id,
      );
    }
    if (id === undefined) {
      this.#log.debug({ method, code: error.code, reason: error.message }, 'A notification was refused');
      return undefined;
    }
    return errorLine(error.code, error.message, id, error.data);
  }

  async #batch(items: unknown[], context: C): Promise<Reply> {
    if (items.length === 0) return errorLine('INVALID_REQUEST', 'The batch is empty.');
    if (items.length > MAX_BATCH_LENGTH) {
      return errorLine('INVALID_REQUEST', `A batch holds at most ${MAX_BATCH_LENGTH} requests.`);
    }
    const replies: Reply[] = Array.from({ length: items.length });
    let size = 0;
    let next = 0;
    const work = async (): Promise<void> => {
      while (next < items.length) {
        const at = next++;
        const item = items[at];
        // A notification adds nothing to the answer, so it is carried out however long that has become.
        const refused = size > MAX_BATCH_REPLY && idOf(item) !== undefined;
        const reply = refused ? tooMuch(item) : await this.#request(item, context);
        const fits = reply === undefined || size + reply.length <= MAX_BATCH_REPLY;
        replies[at] = fits ? reply : tooMuch(item);
        size += reply?.length ?? 0;
      }
    };
    await Promise.all(Array.from({ length: Math.min(BATCH_WINDOW, items.length) }, work));
    const answers = replies.filter((reply) => reply !== undefined);
    return answers.length === 0 ? undefined : `[${answers.join(',')}]`;
  }
}

/** An error answer; `id` is null where the request's own could not be told. */
export function errorLine(
  code: ErrorCode,
  message: string,
  id: Id | undefined = null,
  data?: unknown,
): string {
  const error = { code: ERROR_CATALOGUE[code].rpc ?? ERROR_CATALOGUE.INTERNAL_ERROR.rpc, message };
  let text: string;
  try {
    text = JSON.stringify({ ...error, data: errorData(code, data) });
  } catch {
    // Details that cannot be written as JSON are left out: the error itself matters more.
    text = JSON.stringify({ ...error, data: { code } });
  }
  return `{"jsonrpc":"2.0","id":${idText(id)},"error":${text}}`;
}

function errorData(code: ErrorCode, data: unknown): object {
  if (data === undefined) return { code };
  if (typeof data === 'object' && data !== null && !Array.isArray(data)) return { ...data, code };
  return { code, details: data };
}

function isId(id: unknown): id is Id {
  return id === null || typeof id === 'string' || (typeof id === 'number' && Number.isFinite(id));
}

function idText(id: Id): string {
  return typeof id === 'number' ? String(id) : JSON.stringify(id);
}

function idOf(item: unknown): Id | undefined {
  const id = (item as { id?: unknown } | null)?.id;
  return isId(id) ? id : undefined;
}

function tooMuch(item: unknown): string {
  return errorLine(
    'OVERLOADED',
    'The answers of this batch are too long together; send it in parts.',
    idOf(item),
  );
}

function longList(params: object): ParamsProblem | undefined {
  for (const [key, value] of Object.entries(params)) {
    if (Array.isArray(value) && value.length > MAX_LIST_LENGTH) {
      return { path: shown(key), message: `at most ${MAX_LIST_LENGTH} entries` };
    }
  }
  return undefined;
}
