import type { AgentConfig } from './agent-config.js';

/** What the next daemon has to know of an attempt, as the first line of its record. */
export interface AttemptHeader {
  attemptId: string;
  /** The project's root then; with the record's inode it tells the record from a copy of it in a copy of the project. */
  project: string;
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
  /** Where the agent works; absent in records of earlier versions. */
  folder?: string;
  /** What was reserved for it in the budget; null, or absent in a header of an earlier version, for nothing. */
  reservedUsd?: number | null;
  /** Its stdin is a FIFO, for answers to its questions. */
  staysOpen?: boolean;
}

/** A header as it stands in its record. */
export interface WrittenHeader extends AttemptHeader {
  /** Of the record itself. */
  inode: number;
}

/** The header in a record's first line; undefined where there is none, or not a whole one. */
export function parseHeader(text: string): WrittenHeader | undefined {
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

function isHeader(value: unknown): value is WrittenHeader {
  if (typeof value !== 'object' || value === null) return false;
  const { attemptId, project, bootId, startedAt, startedMono, agentName, agent, inode, reservedUsd } =
    value as Record<string, unknown>;
  return (
    [attemptId, project, bootId, agentName].every((text) => typeof text === 'string') &&
    [startedAt, startedMono, inode, reservedUsd ?? 0].every(Number.isFinite) &&
    typeof agent === 'object' &&
    agent !== null
  );
}
