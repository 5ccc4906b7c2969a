import { createRequire } from 'node:module';
import type * as Jsonc from 'jsonc-parser';

/**
 * The two parts of jsonc-parser that reading needs. Its whole can also format and edit, and costs every start of a daemon
 * 3 ms and 0.6 MB more; through `import` Node would search its bundle for exports, for 7 ms and 3 MB more again. So this
 * is worth one odd file.
 */
const require = createRequire(import.meta.url);

export const { createScanner } = require('jsonc-parser/lib/umd/impl/scanner.js') as Pick<
  typeof Jsonc,
  'createScanner'
>;
export const { parse, parseTree } = require('jsonc-parser/lib/umd/impl/parser.js') as Pick<
  typeof Jsonc,
  'parse' | 'parseTree'
>;
export type { Node, ParseError } from 'jsonc-parser';
