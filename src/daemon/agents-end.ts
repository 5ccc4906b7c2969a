import type { AgentSupervisor } from '../agents/agent-supervisor.js';
import { type Clock, sleep, type Timer } from '../platform/clock.js';
import type { StopRequest } from './stop-request.js';

/** How long outcomes that are on their way may take to be stored; what is not, the next daemon finds in the files. */
const HAND_OVER_PATIENCE_MS = 5_000;

/**
 * Ends the agents within `graceMs`; a later wish to stop that leaves less than what is left of it shortens it. Resolves
 * when nothing runs.
 */
export async function endAgents(
  supervisor: AgentSupervisor,
  { stop, clock, graceMs }: { stop: StopRequest; clock: Clock; graceMs: number },
): Promise<void> {
  let deadline = clock.monotonic() + graceMs;
  let hurry: Timer | undefined;
  stop.onHurry((patience) => {
    const wanted = clock.monotonic() + patience;
    if (wanted >= deadline) return;
    deadline = wanted;
    hurry?.cancel();
    hurry = clock.setTimer(patience, () => void supervisor.stop({ graceMs: 0 }));
  });
  await supervisor.stop({ graceMs });
  hurry?.cancel();
}

/** Leaves the agents to the next daemon; resolves soon, at once after another wish that the daemon ends. */
export async function leaveAgents(
  supervisor: AgentSupervisor,
  { stop, clock }: { stop: StopRequest; clock: Clock },
): Promise<void> {
  const patience = new AbortController();
  stop.onHurry(() => patience.abort());
  if (stop.pending?.graceMs === 0) patience.abort();
  await Promise.race([supervisor.handOver(), sleep(clock, HAND_OVER_PATIENCE_MS, patience.signal)]);
  patience.abort();
}
