import type { MethodName, ParamsOf, ResultOf } from '../protocol/method-types.js';

export interface CallOptions {
  /** Stops waiting for the answer; the daemon still carries the call out. */
  signal?: AbortSignal;
}

/** A method of the daemon as a function; parameters may be left out where none is required. */
export type Call<M extends MethodName> =
  Record<string, never> extends ParamsOf<M>
    ? (params?: ParamsOf<M>, options?: CallOptions) => Promise<ResultOf<M>>
    : (params: ParamsOf<M>, options?: CallOptions) => Promise<ResultOf<M>>;

/** Notifications of a bare `subscribe` would reach nobody: `events` and `output` take its place. */
type Callable = Exclude<MethodName, 'subscribe' | 'unsubscribe'>;

/** What follows a prefix in the names of the methods. */
type Rest<Prefix extends string> = {
  [M in Callable]: M extends `${Prefix}${infer Name}` ? Name : never;
}[Callable];

type Head<Name extends string> = Name extends `${infer First}.${string}` ? First : Name;

/** Methods by their names: `task.submit` is `submit` in `task`. */
export type MethodTree<Prefix extends string = ''> = {
  readonly [N in Head<Rest<Prefix>>]: `${Prefix}${N}` extends Callable
    ? Call<`${Prefix}${N}`>
    : MethodTree<`${Prefix}${N}.`>;
};

type Invoke = (method: string, params?: unknown, options?: CallOptions) => Promise<unknown>;

/** Names that the language looks for on any object; they are no methods of the daemon. */
const NO_METHODS: ReadonlySet<string> = new Set(['then', 'toJSON']);

/** A function that calls the method `name`, and whose properties are the methods below it. */
function methodNode(invoke: Invoke, name: string): object {
  const children = new Map<string, object>();
  const call = (params?: unknown, options?: CallOptions): Promise<unknown> => invoke(name, params, options);
  return new Proxy(call, {
    get: (target, key) => {
      if (typeof key === 'symbol' || NO_METHODS.has(key)) return Reflect.get(target, key) as unknown;
      let child = children.get(key);
      if (child === undefined) {
        child = methodNode(invoke, `${name}.${key}`);
        children.set(key, child);
      }
      return child;
    },
  });
}

/**
 * A prototype that makes a tree of methods of every name that is not found before it. Each name is looked up here
 * once: the tree is then kept on the object itself.
 */
export function methodPrototype(invokeOn: (receiver: object) => Invoke): object {
  return new Proxy(Object.create(null) as object, {
    get: (_target, key, receiver: object) => {
      if (typeof key === 'symbol' || NO_METHODS.has(key) || key in Object.prototype) {
        return Reflect.get(Object.prototype, key, receiver) as unknown;
      }
      const node = methodNode(invokeOn(receiver), key);
      Object.defineProperty(receiver, key, { value: node });
      return node;
    },
  });
}
