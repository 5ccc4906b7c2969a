import { visibleLine, visibleText } from '../output/text.js';

/**
 * What an agent wants to do, for people: the tool and each field of its input, long texts with their own lines. Undefined
 * for a text that is not such JSON.
 */
export function permissionLines(action: string): string[] | undefined {
  let asked: unknown;
  try {
    asked = JSON.parse(action);
  } catch {
    return undefined;
  }
  if (!isObject(asked) || !isObject(asked['input'])) return undefined;
  const { tool, cwd, input } = asked;
  return [
    `${visibleLine(String(tool))} in ${visibleLine(String(cwd))}`,
    ...Object.entries(input).flatMap(([name, value]) => fieldLines(visibleLine(name), value)),
  ];
}

function fieldLines(name: string, value: unknown): string[] {
  const isText = typeof value === 'string' && value.includes('\n');
  const lines = visibleText(isText ? value : JSON.stringify(value, null, 2)).split('\n');
  if (lines.length === 1) return [`${name}: ${lines[0] ?? ''}`];
  return [`${name}:`, ...lines.map((line) => `  ${line}`)];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
