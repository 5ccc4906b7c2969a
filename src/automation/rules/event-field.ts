/** Stands for a field that is not there; `null` is a value. */
export const MISSING = Symbol('missing');

/**
 * The value at a path such as `payload.files.0` in an event or its payload, by the own properties of objects and lists. A
 * key that itself has a dot in it cannot be reached.
 */
export function valueAt(root: object, path: readonly string[]): unknown {
  let value: unknown = root;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return MISSING;
    value = (value as Record<string, unknown>)[key];
  }
  return value === undefined ? MISSING : value;
}
