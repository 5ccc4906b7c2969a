import { visibleText } from '../../protocol/visible-text.js';

/** What an agent wants to do. */
export interface PermissionRequest {
  taskId: string;
  agent: string;
  tool: string;
  /** Exactly what the tool would get. */
  input: Readonly<Record<string, unknown>>;
  /** The folder in which the agent works. */
  cwd: string;
}

/** Fields by one of which most tools say what they are about. */
const TELLING_FIELDS = ['command', 'file_path', 'notebook_path', 'path', 'url', 'query', 'pattern', 'prompt'];

/** `task-0001 (claude) wants to use Bash: npm test`. */
export function permissionSummary({ taskId, agent, tool, input }: PermissionRequest): string {
  const telling = TELLING_FIELDS.map((name) => input[name]).find((value) => typeof value === 'string');
  return `${taskId} (${agent}) wants to use ${tool}${telling === undefined ? '' : `: ${telling}`}`;
}

/** Nobody can judge a longer one: it is refused as it is. */
const LONGEST_ESCAPED = 1024 * 1024;

/**
 * All of it as JSON, in which a character that nobody would see is written as `\u….`: what is shown is what was asked,
 * to people and to programs.
 */
export function permissionAction({ tool, input, cwd }: PermissionRequest): string {
  const text = JSON.stringify({ tool, cwd, input }, null, 2);
  if (text.length > LONGEST_ESCAPED) return text;
  return text.replaceAll(/[^\n -~]/gu, (character) =>
    visibleText(character) === character ? character : escaped(character),
  );
}

function escaped(character: string): string {
  const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
}
