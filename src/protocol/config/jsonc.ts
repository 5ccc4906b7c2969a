import { createRequire } from 'node:module';
import type * as Jsonc from 'jsonc-parser';

/**
 * jsonc-parser, loaded the quick way: through `import` Node first searches its bundle for exports, which takes 7 ms and
 * 3 MB more. Every daemon pays that at its start, so this is worth one odd file.
 */
const jsonc = createRequire(import.meta.url)('jsonc-parser') as typeof Jsonc;

export const { createScanner, parse, parseTree } = jsonc;
export type { Node, ParseError } from 'jsonc-parser';
