import type { Finding } from './document.js';

type Json = Record<string, unknown>;

const RUNNABLE_PROVIDERS: readonly unknown[] = [undefined, 'claude', 'command'];

/** What the file asks for and this version does not do yet, so that nobody relies on a bound that does not bind. */
export function comingFindings(value: unknown): Finding[] {
  const root = object(value);
  const findings: Finding[] = [];
  const note = (path: (string | number)[], message = 'has no effect in this version'): void => {
    findings.push({ path, message });
  };
  for (const [name, agent] of Object.entries(object(root['agents']))) {
    const { provider, approvals } = object(agent);
    if (!RUNNABLE_PROVIDERS.includes(provider)) {
      note(['agents', name, 'provider'], 'cannot be run by this version; tasks for it are refused');
    }
    if (approvals === 'gate') note(['agents', name, 'approvals']);
  }
  return findings;
}

function object(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}
