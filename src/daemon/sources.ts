import { isDeepStrictEqual } from 'node:util';
import { actionWords, type JobRuns } from '../automation/job-runs.js';
import { triggerJobId } from '../automation/rules/triggers.js';
import type { StateDatabase } from '../database/state-database.js';
import type { Timer } from '../platform/clock.js';
import type { Config, JobConfig } from '../protocol/config/config-schema.js';
import { AiwgdError, messageOf } from '../protocol/errors.js';
import type { AiwgEvent } from '../protocol/event.js';
import { CronScheduler } from '../sources/schedule/cron-scheduler.js';
import type { ScheduleEntry, Slot } from '../sources/schedule/schedule-types.js';
import type { FileWatcher } from '../sources/watch/file-watcher.js';
import type { WebhookReceiver } from '../sources/webhook/webhook-receiver.js';
import type { Ground } from './subsystems.js';

/** A start waits so long for the first look at the files; a larger project is looked at while the daemon works. */
const WATCHER_PATIENCE_MS = 3_000;
const LISTEN_RETRY_MS = 30_000;

export interface SourcesOptions {
  ground: Ground;
  db: StateDatabase;
  jobs: JobRuns;
  config: () => Config;
}

/** What events come from: files, times, webhooks. What the configuration does not use is not even loaded. */
export class Sources {
  readonly scheduler: CronScheduler;
  readonly #options: SourcesOptions;
  #watcher: FileWatcher | undefined;
  #webhook: WebhookReceiver | undefined;
  #listenTimer: Timer | undefined;
  #closed = false;

  constructor(options: SourcesOptions) {
    const { ground, db, config } = options;
    const { clock, log, health } = ground;
    this.#options = options;
    this.scheduler = new CronScheduler({
      db,
      clock,
      log,
      entries: entriesOf(config()),
      onSlot: (slot) => this.#onSlot(slot),
      onFault: (code, error) => health.fault(code, error),
    });
  }

  get watcher(): FileWatcher | undefined {
    return this.#watcher;
  }

  get webhook(): WebhookReceiver | undefined {
    return this.#webhook;
  }

  /** Resolves when times and webhooks are looked for, and files too unless there are very many. */
  async start(): Promise<void> {
    const config = this.#options.config();
    this.scheduler.start();
    await Promise.all([this.#startWatcher(config), this.#startWebhook(config)]);
  }

  /** Puts other sections into force; what did not change goes on undisturbed. */
  async reconfigure(config: Config, before: Config): Promise<void> {
    this.scheduler.reconfigure(entriesOf(config));
    if (this.#watcher !== undefined) await this.#watcher.reconfigure(config.watch);
    else await this.#startWatcher(config);
    if (isDeepStrictEqual(config.webhook, before.webhook)) return;
    if (this.#webhook !== undefined) await this.#listening(() => this.#webhook?.reconfigure(config.webhook));
    else await this.#startWebhook(config);
  }

  /** Runs a job now; null where its policy of overlap passes over this run. NOT_FOUND. */
  runJob(jobId: string): string | null {
    const { db, jobs } = this.#options;
    const job = this.#job(jobId);
    if (job === undefined) {
      throw new AiwgdError('NOT_FOUND', `There is no job ${jobId}; aiwgd schedule list shows them.`, {
        data: { jobId },
      });
    }
    return db.transaction(() => jobs.begin(job, this.#publishFired(job, null)), { durable: true });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#listenTimer?.cancel();
    this.scheduler.close();
    await Promise.all([this.#watcher?.close(), this.#webhook?.close()]);
  }

  #onSlot({ entry, slot }: Slot): void {
    if (entry.kind === 'rule') {
      this.#publish({ job_id: entry.id, action: null, slot: new Date(slot).toISOString() });
      return;
    }
    const job = this.#job(entry.id);
    if (job !== undefined) this.#options.jobs.begin(job, this.#publishFired(job, slot));
  }

  #publishFired(job: JobConfig, slot: number | null): AiwgEvent {
    const at = slot === null ? null : new Date(slot).toISOString();
    return this.#publish({ job_id: job.id, action: actionWords(job), slot: at });
  }

  #publish(payload: Record<string, unknown>): AiwgEvent {
    return this.#options.ground.router.publish({ type: 'cron.fired', source: 'scheduler', payload });
  }

  #job(jobId: string): JobConfig | undefined {
    return this.#options.config().schedule.jobs.find(({ id }) => id === jobId);
  }

  async #startWatcher({ watch }: Config): Promise<void> {
    // One that is switched off forgets what an earlier daemon watched.
    if (watch.enabled && watch.paths.length === 0) return;
    const { ground, db } = this.#options;
    const { paths, clock, log, router, health } = ground;
    const { FileWatcher } = await import('../sources/watch/file-watcher.js');
    if (this.#closed) return;
    const watcher = new FileWatcher({
      root: paths.root,
      config: watch,
      db,
      publish: (event) => router.publish(event),
      clock,
      log,
      onFault: (code, error) => health.fault(code, error),
    });
    this.#watcher = watcher;
    const ready = watcher.start().catch((error: unknown) => {
      log.error({ err: error }, 'The file watcher cannot start');
      health.fault('watch.start', error);
    });
    let timer: Timer | undefined;
    const late = new Promise<void>((resolve) => {
      timer = clock.setTimer(WATCHER_PATIENCE_MS, resolve);
    });
    await Promise.race([ready, late]);
    timer?.cancel();
  }

  async #startWebhook({ webhook }: Config): Promise<void> {
    if (!webhook.enabled) return;
    const { ground, db } = this.#options;
    const { clock, log, router, health } = ground;
    const { WebhookReceiver } = await import('../sources/webhook/webhook-receiver.js');
    if (this.#closed) return;
    const receiver = new WebhookReceiver({
      config: webhook,
      environment: process.env,
      db,
      clock,
      log,
      publish: (event) => router.publish(event),
      health: () => ({ status: health.snapshot().status }),
      onFault: (code, error) => health.fault(code, error),
    });
    this.#webhook = receiver;
    await this.#listening(() => receiver.listen());
  }

  /** A port that is taken, or a secret that is missing, is no reason to do nothing at all: health says so, and it is tried again. */
  async #listening(attempt: () => Promise<void> | undefined): Promise<void> {
    const { health, log, clock } = this.#options.ground;
    try {
      await attempt();
      health.clear('webhook_start');
    } catch (error) {
      // It is tried again for as long as it takes: only what is new is worth a line.
      if (health.raise('webhook_start', messageOf(error)))
        log.error({ err: error }, 'The webhook receiver cannot listen');
      if (this.#closed) return;
      this.#listenTimer?.cancel();
      this.#listenTimer = clock.setTimer(LISTEN_RETRY_MS, () => {
        void this.#listening(() => this.#webhook?.reconfigure(this.#options.config().webhook));
      });
    }
  }
}

/** All that fires at a time: jobs, and the triggers of rules. */
function entriesOf({ schedule, rules }: Config): ScheduleEntry[] {
  const jobs = schedule.jobs.map(({ id, cron, timezone, catch_up: catchUp, enabled }) => ({
    id,
    cron,
    timezone,
    catchUp,
    enabled: enabled && schedule.enabled,
    kind: 'job' as const,
  }));
  const triggers = rules.flatMap((rule) =>
    rule.triggers.flatMap((trigger, index) =>
      trigger.type !== 'schedule'
        ? []
        : {
            id: triggerJobId(rule.id, index),
            cron: trigger.cron,
            timezone: trigger.timezone,
            catchUp: 'none' as const,
            enabled: rule.enabled,
            kind: 'rule' as const,
          },
    ),
  );
  return [...jobs, ...triggers];
}
