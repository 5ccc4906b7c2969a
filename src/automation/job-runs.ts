import type { StateDatabase } from '../database/state-database.js';
import type { Clock } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import type { ScheduledJob } from '../protocol/automation.js';
import { isBuiltInAction } from '../protocol/config/action-schema.js';
import type { JobAction, JobConfig } from '../protocol/config/config-schema.js';
import type { AiwgEvent } from '../protocol/event.js';
import type { RunRecords, Step } from './runs/run-records.js';
import type { Mode, Runs } from './runs/runs.js';

/** What a policy of overlap means for the runs of a job, and how many of them there may be. */
const MODE_OF: Record<JobConfig['overlap'], Mode> = { skip: 'single', queue: 'queued', parallel: 'parallel' };
const MOST_RUNS = 100;

const TABLE =
  'CREATE TABLE IF NOT EXISTS job_skips (job_id TEXT PRIMARY KEY, at INTEGER NOT NULL, why TEXT NOT NULL) WITHOUT ROWID;';

export interface JobRunsOptions {
  db: StateDatabase;
  clock: Clock;
  log: Log;
  runs: Runs;
  records: RunRecords;
  /** The section `actions` of the configuration in force. */
  actions: () => Readonly<Record<string, JobAction>>;
}

/** Begins the runs of jobs, and knows how the last ones went. */
export class JobRuns {
  readonly #options: JobRunsOptions;

  constructor(options: JobRunsOptions) {
    this.#options = options;
    options.db.exec(TABLE);
  }

  /** Begins a run because of `event`, in the caller's transaction; null where the policy of overlap passes over this one. */
  begin(job: JobConfig, event: AiwgEvent): string | null {
    const { db, clock, log, runs } = this.#options;
    const { run, why } = runs.offer({
      owner: ownerOf(job.id),
      mode: MODE_OF[job.overlap],
      max: MOST_RUNS,
      event,
      files: [],
      count: 1,
      rules: [],
      steps: [this.#step(job)],
    });
    if (run === null) {
      db.run(
        'INSERT INTO job_skips VALUES (?1, ?2, ?3) ON CONFLICT (job_id) DO UPDATE SET at = ?2, why = ?3',
        job.id,
        clock.now(),
        why,
      );
    }
    db.afterCommit(() => {
      if (run === null) log.warn({ jobId: job.id, why }, 'A job was passed over');
      else log.info({ jobId: job.id, run: run.id }, 'Job begun');
    });
    return run?.id ?? null;
  }

  /** When the job last ran or was passed over, and how that went. */
  last(jobId: string): Pick<ScheduledJob, 'last' | 'lastOutcome'> {
    const { db, records } = this.#options;
    const run = records.newestOf(ownerOf(jobId));
    const skippedAt = db.get('SELECT at FROM job_skips WHERE job_id = ?', jobId)?.['at'];
    if (typeof skippedAt === 'number' && skippedAt >= (run?.createdAt ?? 0)) {
      return { last: new Date(skippedAt).toISOString(), lastOutcome: 'skipped' };
    }
    if (run === undefined) return { last: null, lastOutcome: null };
    return { last: new Date(run.createdAt).toISOString(), lastOutcome: run.state };
  }

  #step({ action }: JobConfig): Step {
    if (typeof action !== 'string') return action;
    if (isBuiltInAction(action)) return { type: 'built_in', name: action };
    const named = this.#options.actions()[action];
    // The configuration was checked: a name that is not there cannot come so far.
    return named ?? { type: 'built_in', name: action };
  }
}

function ownerOf(jobId: string): string {
  return `job:${jobId}`;
}

/** What a job does, in a word or two. */
export function actionWords({ action }: JobConfig): string {
  if (typeof action === 'string') return action;
  return action.type === 'command' ? action.command.join(' ') : `task: ${action.prompt}`;
}
