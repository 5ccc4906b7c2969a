import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { check } from '#aiwgd/protocol/issue-text.js';
import { choice, object, oneOf, record, setting, variant, wholeNumber } from '#aiwgd/protocol/schema.js';

function faultsOf(schema: v.GenericSchema, value: unknown): string[] {
  const result = check(schema, value);
  return (result.issues ?? []).map(({ path = [], message }) =>
    `${path.map(({ key }) => String(key)).join('.')} ${message}`.trim(),
  );
}

const point = object({
  x: v.number(),
  y: setting(v.number(), 7, 'Height.'),
  name: v.exactOptional(v.string()),
});

describe('an object', () => {
  it('yields its keys, the defaults filled in, and leaves out what is not there', () => {
    expect(check(point, { x: 1 }).output).toEqual({ x: 1, y: 7 });
    expect(Object.keys(check(point, { x: 1 }).output as object)).toEqual(['x', 'y']);
  });

  it('tells every unknown and every missing key', () => {
    expect(faultsOf(point, { a: 1, name: undefined, constructor: 2 })).toEqual([
      'x is missing; must be a number',
      'name is missing; must be a string',
      'a unknown key',
      'constructor unknown key',
    ]);
  });

  it.each([[[]], [null], [1], ['text']])('is not %j', (value) => {
    expect(faultsOf(point, value)).toEqual(['must be an object']);
    expect(faultsOf(record(v.string(), v.unknown()), value)).toEqual(['must be an object']);
    expect(faultsOf(variant('x', [object({ x: oneOf(['a']) })]), value)).toEqual(['must be an object']);
  });

  it('takes no key from the prototype', () => {
    const inherited = object({ toString: v.string() });
    expect(faultsOf(inherited, {})).toEqual(['toString is missing; must be a string']);
    expect(faultsOf(point, JSON.parse('{"x": 1, "__proto__": {"y": 2}}'))).toEqual(['__proto__ unknown key']);
  });
});

describe('a record', () => {
  const numbers = record(v.pipe(v.string(), v.regex(/^[a-z]+$/, 'must be a word')), v.number());

  it('takes names that objects have by themselves, but for __proto__', () => {
    const { output } = check(numbers, JSON.parse('{"constructor": 1, "prototype": 2, "__proto__": 3}'));
    expect(Object.entries(output as object)).toEqual([
      ['constructor', 1],
      ['prototype', 2],
    ]);
  });

  it('tells wrong names and wrong values', () => {
    expect(faultsOf(numbers, { a: 'x', '1': 1 })).toEqual(['1 must be a word', 'a must be a number']);
  });
});

describe('choices', () => {
  const shape = variant('kind', [
    object({ kind: oneOf(['circle', 'disc']), radius: v.number() }),
    object({ kind: v.optional(oneOf(['point'])), at: point }),
  ]);

  it('finds the branch by its key, and tells only its faults', () => {
    expect(check(shape, { at: { x: 1 } }).output).toEqual({ at: { x: 1, y: 7 } });
    expect(faultsOf(shape, { kind: 'disc', radius: '' })).toEqual(['radius must be a number']);
    expect(faultsOf(shape, { kind: 'disk' })).toEqual(['kind must be one of "circle", "disc", "point"']);
  });

  it('says what all branches would take, and where it stands', () => {
    const list = v.array(choice([v.string(), choice([v.boolean(), v.null()]), point]));
    expect(check(list, ['a', null, { x: 1 }]).output).toEqual(['a', null, { x: 1, y: 7 }]);
    expect(faultsOf(list, [1])).toEqual(['0 must be a string or true or false or null or an object']);
  });
});

it.each([
  [0.5, 'must be a whole number'],
  [-1, 'must be 0 or more'],
  [1e300, 'must be 9007199254740991 or less'],
  [Number.POSITIVE_INFINITY, 'must be a whole number'],
  ['1', 'must be a number'],
])('%j is no whole number', (value, message) => {
  expect(faultsOf(wholeNumber(0), value)[0]).toBe(message);
});

it('never repeats a value, which may be secret', () => {
  const secret = 'correct horse battery staple';
  for (const schema of [
    v.number(),
    point,
    oneOf(['a']),
    choice([v.number(), point]),
    v.pipe(v.string(), v.maxLength(3)),
  ]) {
    expect(faultsOf(schema, secret).join()).not.toContain('horse');
  }
});
