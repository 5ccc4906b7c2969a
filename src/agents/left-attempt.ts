import type { Clock } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import { messageOf } from '../protocol/errors.js';
import type { Charge } from '../tasks/task-store.js';
import { providerOf } from './agent-catalogue.js';
import { type AgentExit, MAX_RESULT_BYTES, type OutputParser, type Verdict } from './agent-provider.js';
import { AttemptFiles } from './attempt-files.js';
import type { AttemptHeader } from './attempt-header.js';
import { chargeOf } from './charge.js';
import { failedVerdict } from './failed-verdict.js';
import { OutputTail } from './output-tail.js';
import { reapStrays } from './process-tree.js';
import type { SurvivorScan } from './survivor-scan.js';
import { markOf } from './work-check.js';

/** What an earlier daemon has left of an attempt that cannot be taken up. */
export interface LeftAttempt {
  taskId: string;
  attemptId: string;
  projectRoot: string;
}

/** Whether anything of it lives: of its agent, or of what judged the agent's work. */
export function livesOn({ attemptId }: LeftAttempt, scan: SurvivorScan): boolean {
  return scan.mayHaveSurvivors(attemptId) || scan.mayHaveSurvivors(markOf(attemptId));
}

/** Ends all of that. */
export async function endLeft(
  { taskId, attemptId, projectRoot }: LeftAttempt,
  graceMs: number,
  { clock, log }: { clock: Clock; log: Log },
): Promise<void> {
  const marks = [attemptId, markOf(attemptId)];
  const left = await reapStrays({ projectRoot, isOurs: (id) => marks.includes(id), graceMs, clock });
  if (left.length > 0)
    log.error({ taskId, pids: left }, 'Processes of an interrupted attempt cannot be ended');
}

const STDERR_TAIL_BYTES = 4096;

/**
 * What it cost, as far as its files tell: what its agent has said, or else what was set aside for it. Null where nothing
 * of it can be read, and where there is nothing to count. Never rejects.
 */
export async function chargeOfLeft(
  { taskId, attemptId, projectRoot }: LeftAttempt,
  folder: string,
  parserFor: (header: AttemptHeader) => OutputParser,
  log: Log,
): Promise<Charge | null> {
  try {
    const opened = AttemptFiles.reopen(folder, { attemptId, project: projectRoot });
    if (opened === undefined) return null;
    const { header } = opened;
    using files = opened.files;
    const verdict = await verdictIn(files, parserFor(header));
    return chargeOf(
      {
        attemptId: attemptId || header.attemptId,
        agentName: header.agentName,
        provider: providerOf(header.agent),
        prices: header.agent.usd_per_million_tokens ?? null,
        reservedUsd: header.reservedUsd ?? null,
        forgets: true,
      },
      verdict,
    );
  } catch (error) {
    log.warn({ taskId, error: messageOf(error) }, 'What an interrupted attempt has cost cannot be read');
    return null;
  }
}

const UNSEEN: Pick<AgentExit, 'exitCode' | 'signal'> = { exitCode: null, signal: null };

async function verdictIn(files: AttemptFiles, parser: OutputParser): Promise<Verdict> {
  try {
    await new OutputTail(files, parser).drain();
    return parser.verdict({
      ...UNSEEN,
      stdoutTail: () => files.tail('stdout', MAX_RESULT_BYTES),
      stderrTail: () => files.tail('stderr', STDERR_TAIL_BYTES),
    });
  } catch (error) {
    // What was said before it went wrong is known all the same.
    const { sessionId } = parser;
    return { ...failedVerdict(messageOf(error), 'agent_error'), sessionId };
  }
}
