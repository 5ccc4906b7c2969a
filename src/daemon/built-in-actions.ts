import type { BuiltIn } from '../automation/ports.js';
import type { BUILT_IN_ACTIONS } from '../protocol/config/action-schema.js';
import type { Config } from '../protocol/config/config-schema.js';
import type { Ground } from './subsystems.js';

export interface BuiltInActions {
  actions: Record<(typeof BUILT_IN_ACTIONS)[number], BuiltIn>;
  /** Resolves when none of them is at work any more; those whose signal is aborted end soon, with all that they started. */
  ended: () => Promise<void>;
}

/** The actions that jobs may name without an entry in `actions`. */
export function builtInActions(
  { paths, clock, router }: Ground,
  { configFile, config }: { configFile: string; config: () => Config },
): BuiltInActions {
  const atWork = new Set<Promise<unknown>>();
  const noted = (action: BuiltIn): BuiltIn => {
    return async (signal) => {
      const outcome = action(signal);
      atWork.add(outcome);
      try {
        return await outcome;
      } finally {
        atWork.delete(outcome);
      }
    };
  };
  const actions = {
    doctor: noted(async (signal) => {
      const [{ runDoctor }, { doctorLines }] = await Promise.all([
        import('./doctor/doctor.js'),
        import('../protocol/doctor-report.js'),
      ]);
      const report = await runDoctor({
        paths,
        configFile,
        config: config(),
        environment: process.env,
        clock,
        signal,
      });
      const lines = doctorLines(report);
      router.publish({
        type: 'health.check',
        source: 'doctor',
        payload: { ok: report.ok, checks: report.checks },
      });
      return { ok: report.ok, summary: lines.at(-1) ?? '', report: `${lines.join('\n')}\n`, data: report };
    }),
  };
  return { actions, ended: async () => void (await Promise.allSettled(atWork)) };
}
