import { createScanner, type Node, type ParseError, parseTree } from './jsonc.js';
import type { ConfigPath } from './problems.js';
import { secretIn } from './secrets.js';

/** A problem before it has a line, a column and a text for its path. */
export interface Finding {
  path: ConfigPath;
  message: string;
  remedy?: string;
  /** Where it stands, in characters from the start; found through `path` where not given. */
  offset?: number;
  /** The value must not be shown. */
  secret?: boolean;
  /** Point at the key, not at its value. */
  atKey?: boolean;
}

/** A file taken apart: its value, where each part of it stands, and what is wrong with it as JSON. */
export interface ConfigDocument {
  text: string;
  root: Node | undefined;
  value: unknown;
  findings: Finding[];
}

/** The scanner's words, whose names do not exist at run time. */
const WORD = {
  openBrace: 1,
  closeBrace: 2,
  openBracket: 3,
  closeBracket: 4,
  lineComment: 12,
  blockComment: 13,
  end: 17,
} as const;

/** Deeper nesting than any sensible file has; the parser works by recursion. */
const MAX_DEPTH = 100;

/** More parts than any sensible file has; each may be wrong in several ways, and every fault is collected. */
const MAX_TOKENS = 100_000;
const MOST_SYNTAX_ERRORS = 5;

const SECRET_REMEDY =
  'put it into an environment variable, and the name of the variable into the matching `*_env` key or, for agents, `env_allow`';

/** Takes a text apart: JSON in which comments and trailing commas are allowed. Never throws. */
export function readDocument(text: string): ConfigDocument {
  const findings = scan(text);
  const document: ConfigDocument = { text, root: undefined, value: undefined, findings };
  if (findings.some(({ path, secret }) => path.length === 0 && secret !== true)) return document;
  const errors: ParseError[] = [];
  const root = parseTree(text, errors, { allowTrailingComma: true });
  if (root === undefined || errors.length > 0) {
    findings.push(...syntaxFindings(root, errors));
    return document;
  }
  document.root = root;
  document.value = valueOf(root, [], findings);
  return document;
}

/** What can be told from the words alone: nesting that is too deep, secrets in comments. */
function scan(text: string): Finding[] {
  const findings: Finding[] = [];
  const scanner = createScanner(text, false);
  let depth = 0;
  let words = 0;
  for (let token: number = scanner.scan(); token !== WORD.end; token = scanner.scan()) {
    if (token === WORD.openBrace || token === WORD.openBracket) depth += 1;
    else if (token === WORD.closeBrace || token === WORD.closeBracket) depth -= 1;
    const offset = scanner.getTokenOffset();
    words += 1;
    if (words > MAX_TOKENS) {
      findings.push({ path: [], offset, message: `is too large: more than ${MAX_TOKENS} words and signs` });
      break;
    }
    if (depth > MAX_DEPTH) {
      findings.push({ path: [], offset, message: `is nested more than ${MAX_DEPTH} levels deep` });
      break;
    }
    if (token !== WORD.lineComment && token !== WORD.blockComment) continue;
    const secret = secretIn(scanner.getTokenValue());
    if (secret === undefined) continue;
    findings.push({
      path: [],
      offset,
      secret: true,
      message: `a comment seems to hold ${secret}`,
      remedy: 'take it out',
    });
  }
  return findings;
}

const VALUE_EXPECTED = 4;

/** By jsonc-parser's numbers, which its own type gives no names at run time. */
const SYNTAX_MESSAGES: Record<number, string> = {
  1: 'is not JSON: unexpected symbol',
  2: 'a number is not well formed',
  3: 'a key is expected here, in double quotes',
  [VALUE_EXPECTED]: 'a value is expected here',
  5: 'a colon is expected here',
  6: 'a comma is expected here',
  7: 'a closing } is missing',
  8: 'a closing ] is missing',
  9: 'nothing may follow the closing }',
  11: 'a comment is not closed',
  12: 'a string is not closed',
  13: 'a number is not well formed',
  14: 'a \\u in a string is not followed by four hexadecimal digits',
  15: 'a backslash in a string is followed by a character that has no meaning there',
  16: 'a control character stands here that JSON does not allow',
};

function syntaxFindings(root: Node | undefined, errors: ParseError[]): Finding[] {
  const codes: number[] = errors.map(({ error }) => error);
  if (root === undefined && codes.every((code) => code === VALUE_EXPECTED)) {
    return [{ path: [], offset: 0, message: 'is empty', remedy: 'the least that is right is {}' }];
  }
  const places = new Set<number>();
  return errors
    .filter(({ offset }) => !places.has(offset) && places.add(offset))
    .slice(0, MOST_SYNTAX_ERRORS)
    .map(({ error, offset }) => ({ path: [], offset, message: SYNTAX_MESSAGES[error] ?? 'is not JSON' }));
}

/** The value of a node; on the way, keys that stand twice and everything that looks like a secret are found. */
function valueOf(node: Node, path: ConfigPath, findings: Finding[]): unknown {
  if (node.type === 'array') {
    return (node.children ?? []).map((child, index) => valueOf(child, [...path, index], findings));
  }
  if (node.type === 'object') return objectOf(node, path, findings);
  if (typeof node.value === 'string') {
    const secret = secretIn(node.value);
    if (secret !== undefined) {
      findings.push({
        path,
        offset: node.offset,
        secret: true,
        message: `seems to hold ${secret}`,
        remedy: SECRET_REMEDY,
      });
    }
  }
  return node.value;
}

function objectOf(node: Node, path: ConfigPath, findings: Finding[]): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  for (const property of node.children ?? []) {
    const [keyNode, valueNode] = property.children ?? [];
    if (keyNode === undefined || valueNode === undefined) continue;
    const key = String(keyNode.value);
    const place = { path: [...path, key], offset: keyNode.offset, atKey: true };
    if (secretIn(key) !== undefined) {
      findings.push({
        ...place,
        secret: true,
        message: `a key seems to hold ${secretIn(key)}`,
        remedy: SECRET_REMEDY,
      });
    }
    if (Object.hasOwn(object, key)) {
      findings.push({ ...place, message: 'stands here twice', remedy: 'keep one of the two' });
    }
    const value = valueOf(valueNode, place.path, findings);
    // Assigned, this one key would set the prototype.
    if (key === '__proto__') findings.push({ ...place, message: 'unknown key', remedy: 'take it out' });
    else object[key] = value;
  }
  return object;
}

/** The node at a path, or the nearest one around it that exists. */
export function nodeAt(root: Node | undefined, path: ConfigPath): { node: Node | undefined; whole: boolean } {
  let node = root;
  for (const step of path) {
    const next = childAt(node, step);
    if (next === undefined) return { node, whole: false };
    node = next;
  }
  return { node, whole: true };
}

function childAt(node: Node | undefined, step: string | number): Node | undefined {
  if (typeof step === 'number') return node?.type === 'array' ? node.children?.[step] : undefined;
  if (node?.type !== 'object') return undefined;
  return node.children?.findLast((property) => property.children?.[0]?.value === step)?.children?.[1];
}

/** Finds line and column of offsets in one text, both counted from 1. */
export function lineFinder(text: string): (offset: number) => { line: number; column: number } {
  const starts = [0];
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return (offset) => {
    const line = starts.findLastIndex((start) => start <= offset);
    return { line: line + 1, column: offset - (starts[line] ?? 0) + 1 };
  };
}
