import type { Finding } from './document.js';

type Json = Record<string, unknown>;

/** What the file asks for and this version does not do yet, so that nobody relies on a bound that does not bind. */
export function comingFindings(value: unknown): Finding[] {
  const root = object(value);
  const findings: Finding[] = [];
  const note = (path: (string | number)[]): void => {
    findings.push({ path, message: 'has no effect in this version' });
  };
  for (const [name, agent] of Object.entries(object(root['agents']))) {
    const { isolation } = object(agent);
    if (isolation === 'worktree') note(['agents', name, 'isolation']);
  }
  return findings;
}

function object(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}
