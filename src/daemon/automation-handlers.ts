import { actionWords } from '../automation/job-runs.js';
import { eventOfSketch } from '../automation/rules/sketch.js';
import type { ScheduledJob } from '../protocol/automation.js';
import type { JobConfig } from '../protocol/config/config-schema.js';
import { hostTimezone } from '../protocol/config/timezone.js';
import { AiwgdError } from '../protocol/errors.js';
import type { AutomationParts } from './automation-parts.js';
import { gateAnswerer } from './gate-answerer.js';
import { timeOf } from './iso-time.js';
import type { AutomationHandlers } from './rpc-handlers.js';
import type { Sources } from './sources.js';

const DEFAULT_TRACE_ROWS = 50;

/** The methods of automation, schedule and gates. */
export function automationHandlers({
  project,
  automation: { engine, jobs },
  sources,
  now,
  jobConfigs,
}: {
  project: string;
  automation: AutomationParts;
  sources: Sources;
  now: () => number;
  jobConfigs: () => readonly JobConfig[];
}): AutomationHandlers {
  return {
    'automation.status': () => engine.status(),
    'automation.enable': ({ ruleId }) => {
      engine.enable(ruleId);
      return { enabled: true };
    },
    'automation.disable': ({ ruleId }) => {
      engine.disable(ruleId);
      return { enabled: false };
    },
    'automation.test': (params) => {
      const { since, ruleId } = params;
      if (since !== undefined) return engine.testHistory(timeOf('since', since), ruleId);
      if (params.event === undefined) {
        throw new AiwgdError('INVALID_PARAMS', 'Give an event to test, or `since` for the history.');
      }
      return engine.test(eventOfSketch(params.event, now()), ruleId);
    },
    'automation.trace': ({ ruleId, limit = DEFAULT_TRACE_ROWS }) => engine.trace(ruleId, limit),
    'schedule.list': () => jobConfigs().map((job) => scheduledJob(job, sources, jobs)),
    'schedule.run': ({ jobId }) => ({ runId: sources.runJob(jobId) }),
    'gate.list': ({ state }) => engine.gates.list(state),
    'gate.approve': ({ gateId, always = false }, call) =>
      engine.gates.approve(gateId, gateAnswerer(call, project).by, { always }),
    'gate.reject': ({ gateId, reason }, call) =>
      engine.gates.reject(gateId, gateAnswerer(call, project).by, reason),
  };
}

function scheduledJob(job: JobConfig, { scheduler }: Sources, jobs: AutomationParts['jobs']): ScheduledJob {
  const next = scheduler.next(job.id);
  return {
    id: job.id,
    enabled: job.enabled,
    cron: job.cron,
    timezone: job.timezone ?? hostTimezone(),
    action: actionWords(job),
    next: next === null ? null : new Date(next).toISOString(),
    ...jobs.last(job.id),
    catchUp: job.catch_up,
    overlap: job.overlap,
  };
}
