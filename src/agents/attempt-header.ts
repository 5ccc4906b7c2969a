import type { AgentConfig } from './agent-config.js';

/** What the next daemon has to know of an attempt, as the first line of its record. */
export interface AttemptHeader {
  attemptId: string;
  /** The attempt's folder as it was then. */
  folder: string;
  /** The boot in which it was launched: after another one nothing of it can live. */
  bootId: string;
  /** Wall time of the launch, in milliseconds since 1970. */
  startedAt: number;
  /** The same moment by `Clock.monotonic`, for time limits: the wall clock may jump. */
  startedMono: number;
  /** The agent as it was configured then; the configuration may have changed since. */
  agentName: string;
  /** Without its variables. */
  agent: AgentConfig;
}

/** The header in a record's first line; undefined where there is none, or not a whole one. */
export function parseHeader(text: string): AttemptHeader | undefined {
  const end = text.indexOf('\n');
  if (end < 0) return undefined;
  try {
    const header: unknown = JSON.parse(text.slice(0, end));
    return isHeader(header) ? header : undefined;
  } catch {
    // Cut off by a crash, or not ours.
    return undefined;
  }
}

function isHeader(value: unknown): value is AttemptHeader {
  if (typeof value !== 'object' || value === null) return false;
  const { attemptId, folder, bootId, startedAt, startedMono, agentName, agent } = value as Record<
    string,
    unknown
  >;
  return (
    [attemptId, folder, bootId, agentName].every((text) => typeof text === 'string') &&
    [startedAt, startedMono].every(Number.isFinite) &&
    typeof agent === 'object' &&
    agent !== null
  );
}
