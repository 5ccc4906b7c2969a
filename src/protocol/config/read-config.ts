import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { AiwgdError } from '../errors.js';
import { check } from '../issue-text.js';
import { type Config, configSchema } from './config-schema.js';
import { type ConfigDocument, type Finding, lineFinder, nodeAt, readDocument } from './document.js';
import { explainIssues, valueAt } from './explain-issues.js';
import {
  type ConfigPath,
  type ConfigProblem,
  formatProblems,
  MOST_PROBLEMS,
  pathText,
  valueText,
} from './problems.js';
import { checkRelations } from './relations.js';
import { hideSecrets, namesSecret } from './secrets.js';

export type ParsedConfig =
  | { ok: true; config: Config; warnings: ConfigProblem[] }
  | { ok: false; file: string; problems: ConfigProblem[] };

/**
 * Reads a configuration from its text: JSON with comments and trailing commas, a byte-order mark passed over. Gives
 * the normal form, or all problems at once in the order of the file. `file` is the name they are told under. Never throws, and no problem holds a secret.
 */
export function parseConfig(text: string, file: string): ParsedConfig {
  const document = readDocument(text.startsWith('\uFEFF') ? text.slice(1) : text);
  if (document.root === undefined)
    return { ok: false, file, problems: toProblems(document, document.findings) };
  if (document.root.type !== 'object') {
    const finding = { path: [], message: 'must be an object', remedy: 'the least that is right is {}' };
    return { ok: false, file, problems: toProblems(document, [finding, ...document.findings]) };
  }
  const parsed = check(configSchema, document.value);
  const relations = checkRelations(document.value);
  const issues = parsed.success ? [] : explainIssues(parsed.issues);
  const findings = [...document.findings, ...issues, ...relations.errors];
  if (!parsed.success || findings.length > 0)
    return { ok: false, file, problems: toProblems(document, findings) };
  return {
    ok: true,
    config: parsed.output,
    warnings: toProblems(document, relations.warnings),
  };
}

/** Values that must not be shown, whatever they look like: those that belong into an environment variable. */
function isSecretPlace(path: ConfigPath): boolean {
  const key = path.at(-1);
  return path.at(-2) === 'env' || (typeof key === 'string' && (key.endsWith('_env') || namesSecret(key)));
}

function toProblems(document: ConfigDocument, findings: readonly Finding[]): ConfigProblem[] {
  const lineOf = lineFinder(document.text);
  const secret = new Set(findings.filter((one) => one.secret).map(({ path }) => JSON.stringify(path)));
  return findings
    .filter((one) => one.secret || one.path.length === 0 || !secret.has(JSON.stringify(one.path)))
    .slice(0, MOST_PROBLEMS)
    .map((one) => ({ one, offset: one.offset ?? offsetOf(document, one) }))
    .toSorted((a, b) => a.offset - b.offset)
    .map(({ one, offset }) => {
      const value = one.secret || isSecretPlace(one.path) ? undefined : valueAt(document.value, one.path);
      return {
        path: pathText(one.path),
        ...lineOf(offset),
        ...(value === undefined || one.path.length === 0 ? {} : { value: valueText(value) }),
        message: hideSecrets(one.message),
        ...(one.remedy === undefined ? {} : { remedy: hideSecrets(one.remedy) }),
      };
    });
}

function offsetOf(document: ConfigDocument, finding: Finding): number {
  const { node, whole } = nodeAt(document.root, finding.path);
  if (whole && finding.atKey) return node?.parent?.children?.[0]?.offset ?? 0;
  return node?.offset ?? 0;
}

/** Far more than any sensible file has. */
const MAX_BYTES = 5 * 1024 * 1024;

/** The text of a configuration file; undefined when there is none. INVALID_CONFIG when it cannot be read. */
export function readConfigFile(path: string): string | undefined {
  let file: number;
  try {
    // A pipe that lies there would else be waited for until somebody writes to it.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw unreadable(path, error);
  }
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) {
      throw new AiwgdError(
        'INVALID_CONFIG',
        `${path} is not a file; move it away, and \`aiwgd init\` writes a new one`,
      );
    }
    if (stat.size > MAX_BYTES) {
      throw new AiwgdError('INVALID_CONFIG', `${path} is larger than 5 MiB; a configuration has a few KiB`);
    }
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw error instanceof AiwgdError ? error : unreadable(path, error);
  } finally {
    closeSync(file);
  }
}

/** The error for a file with problems: its message lists them all, its `data` holds them for programs. */
export function invalidConfig(file: string, problems: ConfigProblem[]): AiwgdError {
  const count = problems.length === 1 ? '1 error' : `${problems.length} errors`;
  return new AiwgdError('INVALID_CONFIG', `${file} has ${count}:\n${formatProblems(file, problems)}`, {
    data: { file, problems },
  });
}

function unreadable(path: string, error: unknown): AiwgdError {
  const reasons: Record<string, string> = {
    EACCES: 'you may not read it; correct its permissions (chmod u+r)',
    EISDIR: 'it is a folder',
    ENOTDIR: 'a part of its path is not a folder',
    ELOOP: 'its symbolic links lead in a circle',
  };
  const code = errorCode(error);
  const reason = (code === undefined ? undefined : reasons[code]) ?? String(error);
  return new AiwgdError('INVALID_CONFIG', `${path} cannot be read: ${reason}`, { cause: error });
}

function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
