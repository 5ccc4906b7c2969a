import type { BuiltIn } from '../automation/ports.js';
import type { BUILT_IN_ACTIONS } from '../protocol/config/action-schema.js';
import type { Config } from '../protocol/config/config-schema.js';
import type { Ground } from './subsystems.js';

/** The actions that jobs may name without an entry in `actions`. */
export function builtInActions(
  { paths, clock, router }: Ground,
  { configFile, config }: { configFile: string; config: () => Config },
): Record<(typeof BUILT_IN_ACTIONS)[number], BuiltIn> {
  return {
    doctor: async (signal) => {
      const { doctorLines, runDoctor } = await import('./doctor/doctor.js');
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
    },
  };
}
