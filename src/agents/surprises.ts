import type { Verdict } from './agent-provider.js';
import type { FaultReport } from './fault-report.js';

/** An update of an agent's program may have changed what its words mean: then figures and verdicts may be wrong. */
export function noteSurprises(
  faults: FaultReport,
  agentName: string | null,
  { surprises }: Pick<Verdict, 'surprises'>,
): void {
  const code = `agents.output.${agentName ?? ''}` as const;
  if (surprises.length === 0) {
    faults.clear(code);
    return;
  }
  const said = surprises.join('; ');
  faults.raise(
    code,
    `What the agent ${agentName} prints is not as expected; is its program newer than this daemon? ${said}`,
  );
}
